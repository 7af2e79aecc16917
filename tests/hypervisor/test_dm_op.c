/* SPDX-License-Identifier: GPL-2.0-only */
/* The device-model operations: their wire format, describe, ready, and every error. */
#include "fixture.h"

static struct bridge_dm_op operation;

static int call(unsigned int buffers, uint64_t size)
{
    const struct dmop_args args = {.nr_bufs = buffers, .buf = {{.h = {&operation}, .size = size}}};

    return ioreq_pci_dm_op(&machine.guest, &args);
}

static int describe(struct bridge_window *banks, uint64_t size)
{
    const struct dmop_args args = {
        .nr_bufs = banks != NULL ? 2 : 1,
        .buf = {{.h = {&operation}, .size = sizeof(operation)}, {.h = {banks}, .size = size}}
    };

    return ioreq_pci_dm_op(&machine.guest, &args);
}

static void start_operation(uint32_t op, uint32_t index)
{
    memset(&operation, 0, sizeof(operation));
    operation.op = op;
    operation.u.index = index;
}

static void broken_buffers(void **state)
{
    (void)state;
    start_operation(BRIDGE_DM_OP_DESCRIBE, 0);
    assert_int_equal(call(0, sizeof(operation)), -EFAULT);
    assert_int_equal(call(1, sizeof(operation) - 1), -EFAULT);
    assert_int_equal(call(1, 0), -EFAULT);
    faults.copy = 0; /* the operation cannot be read */
    assert_int_equal(call(1, sizeof(operation)), -EFAULT);
    faults.copy = 1; /* it cannot be written back */
    assert_int_equal(call(1, sizeof(operation)), -EFAULT);
    assert_int_equal(call(1, sizeof(operation) + 1), 0);
}

static void broken_pads(void **state)
{
    (void)state;
    start_operation(BRIDGE_DM_OP_DESCRIBE, 0);
    operation.pad = 1;
    assert_int_equal(call(1, sizeof(operation)), -EINVAL);
    start_operation(BRIDGE_DM_OP_DESCRIBE, 0);
    operation.u.describe.pad = 1;
    assert_int_equal(call(1, sizeof(operation)), -EINVAL);
    start_operation(BRIDGE_DM_OP_READY, 0);
    operation.u.ready.pad = 1;
    assert_int_equal(call(1, sizeof(operation)), -EINVAL);
    start_operation(BRIDGE_DM_OP_READY, 0);
    operation.u.ready.ready = 2;
    assert_int_equal(call(1, sizeof(operation)), -EINVAL);
}

static void unknown_operations(void **state)
{
    (void)state;
    start_operation(BRIDGE_DM_OP_FIRST, 0);
    assert_int_equal(call(1, sizeof(operation)), -EOPNOTSUPP);
    start_operation(BRIDGE_DM_OP_ADOPT + 1, 0);
    assert_int_equal(call(1, sizeof(operation)), -EOPNOTSUPP);
    start_operation(~0u, 0);
    assert_int_equal(call(1, sizeof(operation)), -EOPNOTSUPP);
}

static void no_such_bridge(void **state)
{
    struct ioreq_pci *pci = machine.pci;
    uint32_t op;

    (void)state;
    for (op = BRIDGE_DM_OP_DESCRIBE; op <= BRIDGE_DM_OP_ADOPT; op++) {
        start_operation(op, 3);
        assert_int_equal(call(1, sizeof(operation)), -ENOENT);
        start_operation(op, ~0u);
        assert_int_equal(call(1, sizeof(operation)), -ENOENT);
        start_operation(op, 0);
        machine.guest.arch.ioreq_pci = NULL;
        assert_int_equal(call(1, sizeof(operation)), -ENOENT);
        machine.guest.arch.ioreq_pci = pci;
    }
}

static void describe_says_what_the_bridge_is(void **state)
{
    const struct bridge *b = machine_bridge(&machine, 1);
    const unsigned int id = machine_function_server(&machine);
    const struct bridge_dm_op_describe *op = &operation.u.describe;

    (void)state;
    start_operation(BRIDGE_DM_OP_DESCRIBE, 1);
    assert_int_equal(describe(NULL, 0), 0);
    assert_int_equal(op->index, 1);
    assert_int_equal(op->flags, BRIDGE_FLAG_HOLD);
    assert_int_equal(sizeof(op->window), sizeof(b->window));
    assert_memory_equal(op->window, b->window, sizeof(b->window));
    assert_int_equal(op->interrupt_first, b->interrupt_first);
    assert_int_equal(op->interrupt_count, b->interrupt_count);
    assert_int_equal(op->state, 0);
    assert_int_equal(op->generation, 0);
    assert_int_equal(op->ram_banks, MACHINE_BANKS);
    assert_int_equal(machine_ready(&machine, 1, id, 1), 0);
    start_operation(BRIDGE_DM_OP_DESCRIBE, 1);
    assert_int_equal(describe(NULL, 0), 0);
    assert_int_equal(op->state, BRIDGE_STATUS_STATE_READY);
    assert_int_equal(op->generation, 1);
}

static void describe_gives_ram_as_far_as_there_is_room(void **state)
{
    struct bridge_window banks[4];
    unsigned int room;

    (void)state;
    for (room = 1; room <= ARRAY_SIZE(banks); room++) {
        memset(banks, 0xee, sizeof(banks));
        start_operation(BRIDGE_DM_OP_DESCRIBE, 0);
        operation.u.describe.ram_banks = room;
        assert_int_equal(describe(banks, room * sizeof(banks[0])), 0);
        assert_int_equal(operation.u.describe.ram_banks, MACHINE_BANKS);
        assert_memory_equal(banks, machine.pci->bank, MIN(room, MACHINE_BANKS) * sizeof(banks[0]));
        assert_int_equal(((uint8_t *)banks)[MIN(room, MACHINE_BANKS) * sizeof(banks[0])], 0xee);
    }
    start_operation(BRIDGE_DM_OP_DESCRIBE, 0);
    operation.u.describe.ram_banks = 2;
    assert_int_equal(describe(banks, 2 * sizeof(banks[0]) - 1), -EFAULT);
    assert_int_equal(describe(NULL, 0), -EFAULT); /* no second buffer */
    faults.copy = 1;
    assert_int_equal(describe(banks, sizeof(banks)), -EFAULT);
    operation.u.describe.ram_banks = ~0u; /* a room that is not there, but not needed either */
    assert_int_equal(describe(banks, sizeof(banks)), 0);
}

static void ready_wants_the_callers_own_server(void **state)
{
    const unsigned int id = machine_function_server(&machine);

    (void)state;
    assert_int_equal(machine_ready(&machine, 0, id + 1, 1), -ENOENT);
    assert_int_equal(machine_ready(&machine, 0, MAX_NR_IOREQ_SERVERS, 1), -ENOENT);
    assert_int_equal(machine_ready(&machine, 0, ~0u, 1), -ENOENT);
    assert_int_equal(machine_ready(&machine, 0, id | 0x10000, 1), -ENOENT);
    machine_be(&machine, &machine.other);
    assert_int_equal(machine_ready(&machine, 0, id, 1), -EPERM);
    assert_int_equal(machine_ready(&machine, 0, id, 0), -EPERM);
    assert_int_equal(machine_status(&machine, 0, BRIDGE_STATUS_STATE), 0);
    machine_be(&machine, &machine.dom0);
    assert_int_equal(machine_ready(&machine, 0, id, 1), 0);
}

static void ready_wants_a_claim_on_the_bus(void **state)
{
    const unsigned int id = machine_server(&machine);
    const struct bridge *b = machine_bridge(&machine, 0), *plain = machine_bridge(&machine, MACHINE_PLAIN);
    const uint64_t memory = b->memory.base, last = b->ecam.base + b->ecam.size - 1;

    (void)state;
    assert_int_equal(machine_ready(&machine, 0, id, 1), -ENXIO);
    assert_int_equal(server_map(&machine.guest, id, XEN_DMOP_IO_RANGE_MEMORY, memory, memory + 0xfff), 0);
    assert_int_equal(machine_ready(&machine, 0, id, 1), -ENXIO); /* a BAR is not the bus */
    assert_int_equal(server_map(&machine.guest, id, XEN_DMOP_IO_RANGE_PCI, 0x10008, 0x10008), 0);
    assert_int_equal(machine_ready(&machine, 0, id, 1), -ENXIO); /* nor is another bridge's function */
    assert_int_equal(machine_ready(&machine, 0, id, 0), 0);
    assert_int_equal(machine_ready(&machine, 1, id, 1), 0);
    assert_int_equal(server_map(&machine.guest, id, XEN_DMOP_IO_RANGE_MEMORY, last, last), 0);
    assert_int_equal(machine_ready(&machine, 0, id, 1), 0);
    assert_int_equal(machine_ready(&machine, MACHINE_PLAIN, id, 1), -ENXIO);
    assert_int_equal(server_map(&machine.guest, id, XEN_DMOP_IO_RANGE_MEMORY, plain->memory.base, plain->memory.base),
                     0);
    assert_int_equal(machine_ready(&machine, MACHINE_PLAIN, id, 1), 0);
}

/* It is ready as long as one of them says so: none can take back what another one said. */
static void ready_is_not_a_neighbours_to_take_back(void **state)
{
    const unsigned int id = machine_function_server(&machine), other = machine_function_server(&machine);

    (void)state;
    assert_int_equal(machine_ready(&machine, 0, id, 1), 0);
    assert_int_equal(machine_ready(&machine, 0, other, 1), 0);
    assert_int_equal(machine_ready(&machine, 0, other, 0), 0);
    assert_int_equal(machine_status(&machine, 0, BRIDGE_STATUS_STATE), 1);
    assert_int_equal(machine_ready(&machine, 0, other, 1), 0);
    assert_int_equal(server_destroy(&machine.guest, other), 0);
    assert_int_equal(machine_status(&machine, 0, BRIDGE_STATUS_STATE), 1);
    assert_int_equal(machine_ready(&machine, 0, id, 0), 0);
    assert_int_equal(machine_status(&machine, 0, BRIDGE_STATUS_STATE), 0);
}

static void generation_counts_attachments(void **state)
{
    const unsigned int first = machine_function_server(&machine), second = machine_function_server(&machine);

    (void)state;
    assert_int_equal(machine_ready(&machine, 0, first, 1), 0);
    assert_int_equal(machine_ready(&machine, 0, first, 1), 0); /* again: the same attachment */
    assert_int_equal(machine_status(&machine, 0, BRIDGE_STATUS_GENERATION), 1);
    assert_int_equal(machine_ready(&machine, 0, second, 1), 0); /* somebody else says so too */
    assert_int_equal(machine_status(&machine, 0, BRIDGE_STATUS_GENERATION), 2);
    assert_int_equal(machine_ready(&machine, 0, first, 0), 0); /* it has nothing to say any more */
    assert_int_equal(machine_status(&machine, 0, BRIDGE_STATUS_STATE), 1);
    assert_int_equal(machine_ready(&machine, 0, second, 0), 0);
    assert_int_equal(machine_status(&machine, 0, BRIDGE_STATUS_STATE), 0);
    assert_int_equal(machine_ready(&machine, 0, second, 0), 0);
    assert_int_equal(machine_ready(&machine, 0, second, 1), 0);
    assert_int_equal(machine_status(&machine, 0, BRIDGE_STATUS_GENERATION), 3);
}

static void a_server_that_goes_takes_ready_along(void **state)
{
    const unsigned int id = machine_function_server(&machine);

    (void)state;
    assert_int_equal(machine_ready(&machine, 0, id, 1), 0);
    assert_int_equal(machine_ready(&machine, 1, id, 1), 0);
    assert_int_equal(server_destroy(&machine.guest, id), 0);
    assert_int_equal(machine_status(&machine, 0, BRIDGE_STATUS_STATE), 0);
    assert_int_equal(machine_status(&machine, 1, BRIDGE_STATUS_STATE), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(broken_buffers),
        TEST(broken_pads),
        TEST(unknown_operations),
        TEST(no_such_bridge),
        TEST_WITH_HOLD(describe_says_what_the_bridge_is),
        TEST(describe_gives_ram_as_far_as_there_is_room),
        TEST(ready_wants_the_callers_own_server),
        TEST(ready_wants_a_claim_on_the_bus),
        TEST(ready_is_not_a_neighbours_to_take_back),
        TEST(generation_counts_attachments),
        TEST(a_server_that_goes_takes_ready_along),
    };

    return RUN(tests);
}
