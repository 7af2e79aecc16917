/* SPDX-License-Identifier: BSD-2-Clause */
/* What bridge.h computes inline: ECAM addresses, INTx swizzle, MSI messages, the service area, wire sizes. */
#include "fixture.h"

#include "device_model.h"
#include "dm_op.h"

static void ecam_decode_and_encode(void **state)
{
    const struct bridge_ecam_address address = bridge_ecam_decode(0x05f3a9c);

    (void)state;
    assert_int_equal(address.bus, 0x05);
    assert_int_equal(address.device, 0x1e);
    assert_int_equal(address.function, 3);
    assert_int_equal(address.register_offset, 0xa9c);
    for (uint64_t offset = 0; offset < 0x10000000; offset += 0xfff) {
        assert_int_equal(bridge_ecam_encode(bridge_ecam_decode(offset)), offset);
    }
}

static void ecam_encode_ignores_what_is_out_of_range(void **state)
{
    const struct bridge_ecam_address address = {.bus = 1, .device = 0xff, .function = 0xff, .register_offset = 0xffff};

    (void)state;
    assert_int_equal(bridge_ecam_encode(address), 0x1fffff);
}

static void intx_swizzle(void **state)
{
    const struct bridge bridge = good_bridge();

    (void)state;
    assert_int_equal(bridge_intx_interrupt(&bridge, 0, 1), 44);
    assert_int_equal(bridge_intx_interrupt(&bridge, 0, 4), 47);
    assert_int_equal(bridge_intx_interrupt(&bridge, 1, 1), 45);
    assert_int_equal(bridge_intx_interrupt(&bridge, 1, 4), 44);
    assert_int_equal(bridge_intx_interrupt(&bridge, 31, 2), 44);
}

static void msi_message(void **state)
{
    const struct bridge bridge = good_bridge();
    const uint64_t setspi = 0x35fe0040;

    (void)state;
    assert_true(bridge_msi_valid(&bridge, setspi, 48));
    assert_true(bridge_msi_valid(&bridge, setspi, 63));
    assert_false(bridge_msi_valid(&bridge, setspi, 47));
    assert_false(bridge_msi_valid(&bridge, setspi, 64));
    assert_false(bridge_msi_valid(&bridge, setspi + 4, 48));
    assert_false(bridge_msi_valid(&bridge, 0, 48));
}

static void msi_message_without_vectors(void **state)
{
    struct bridge bridge = good_bridge();

    (void)state;
    bridge.interrupt_count = 4;
    assert_false(bridge_msi_valid(&bridge, 0x35fe0040, 48));
}

static void service_area_is_the_end_of_the_memory_window(void **state)
{
    const struct bridge bridge = good_bridge();

    (void)state;
    assert_int_equal(bridge_v2m_base(&bridge), 0x35fe0000);
    assert_int_equal(bridge_status_base(&bridge), 0x35ff0000);
    assert_int_equal(bridge_status_base(&bridge) + BRIDGE_STATUS_SIZE, bridge.memory.base + bridge.memory.size);
}

static void window_contains(void **state)
{
    const struct bridge_window window = {0x1000, 0x1000};
    const struct bridge_window absent = {0, 0};
    const struct bridge_window last = {0xfffffffffffff000, 0x1000};

    (void)state;
    assert_false(bridge_window_contains(&window, 0xfff));
    assert_true(bridge_window_contains(&window, 0x1000));
    assert_true(bridge_window_contains(&window, 0x1fff));
    assert_false(bridge_window_contains(&window, 0x2000));
    assert_false(bridge_window_contains(&absent, 0));
    assert_true(bridge_window_contains(&last, ~0ull));
    assert_false(bridge_window_contains(&last, 0));
}

static void spis_and_buses(void **state)
{
    const struct bridge bridge = good_bridge();

    (void)state;
    assert_int_equal(bridge_spis_needed(&bridge), 32);
    assert_int_equal(bridge_buses(&bridge), 16);
}

static void wire_format_has_no_hidden_padding(void **state)
{
    (void)state;
    assert_int_equal(sizeof(struct bridge_dm_op_describe), 80);
    assert_int_equal(sizeof(struct bridge_window), 16);
    assert_int_equal(sizeof(struct bridge_dm_op_ready), 16);
    assert_int_equal(sizeof(struct bridge_dm_op_doorbell), 24);
    assert_int_equal(sizeof(struct bridge_dm_op_adopt), 12);
    assert_int_equal(sizeof(struct bridge_dm_op), 88);
    assert_int_equal(offsetof(struct bridge_dm_op, u), 8);
    assert_int_equal(offsetof(struct bridge_dm_op_describe, interrupt_first), 56);
    assert_int_equal(offsetof(struct bridge_dm_op_doorbell, address), 8);
    assert_int_equal(offsetof(struct bridge_dm_op_doorbell, port), 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ecam_decode_and_encode),
        cmocka_unit_test(ecam_encode_ignores_what_is_out_of_range),
        cmocka_unit_test(intx_swizzle),
        cmocka_unit_test(msi_message),
        cmocka_unit_test(msi_message_without_vectors),
        cmocka_unit_test(service_area_is_the_end_of_the_memory_window),
        cmocka_unit_test(window_contains),
        cmocka_unit_test(spis_and_buses),
        cmocka_unit_test(wire_format_has_no_hidden_padding),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
