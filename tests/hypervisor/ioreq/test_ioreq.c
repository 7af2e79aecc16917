/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A vCPU that asks an emulator for something: what it finds in its registers afterwards, and that it always comes back,
 * whatever the emulator does to the page that they share.
 */
#include <setjmp.h>
#include <stdarg.h>

#include "environment.h"

#include <asm/traps.h>
#include <xen/ioreq.h>

#include <asm/ioreq.h>
#include <cmocka.h>

#define BAR 0x23000000ul
#define BAR_SIZE 0x1000ul
#define BEFORE 0x5a5a5a5a5a5a5a5aul /* in all registers */
#define ROUNDS_MAX 50u              /* of looking at a slot that changes: then it never ends */

static struct domain guest, dom0;
static struct vcpu vcpu[VCPUS], dom0_vcpu;
static struct cpu_user_regs regs;
static unsigned int softirqs, rounds;
static bool stuck;
static jmp_buf out;

struct vcpu *current;

/* What the emulator does: when the vCPU is about to look at its slot again, and when it sleeps. */
static void (*meanwhile)(void);
static void (*asleep)(void);

void failed(const char *what, const char *file, int line)
{
    fprintf(stderr, "%s:%d: %s\n", file, line, what);
    abort();
}

struct cpu_user_regs *guest_cpu_user_regs(void)
{
    return &regs;
}

void advance_pc(struct cpu_user_regs *r, const union hsr hsr)
{
    r->pc += 4;
}

void finalize_instr_emulation(const struct instr_details *instr)
{
    if (instr->state == INSTR_LDR_STR_POSTINDEXING) {
        regs.x[instr->rn] += (register_t)(long)instr->imm9;
    }
}

enum io_state ioreq_pci_access(struct cpu_user_regs *r, struct vcpu *v, mmio_info_t *info)
{
    return IO_UNHANDLED;
}

static void one_more_round(void)
{
    if (++rounds > ROUNDS_MAX) {
        stuck = true;
        longjmp(out, 1);
    }
}

void other_processor(void)
{
    one_more_round();
    if (meanwhile != NULL) {
        meanwhile();
    }
}

void do_softirq(void)
{
    one_more_round();
    softirqs++;
    if (asleep != NULL) {
        asleep();
    }
    ASSERT(vcpu_runnable(current)); /* else it sleeps for ever */
}

static int dm_op(struct xen_dm_op *op)
{
    bool is_const;
    int rc;

    current = &dom0_vcpu;
    rc = ioreq_server_dm_op(op, &guest, &is_const);
    current = &vcpu[0];
    return rc;
}

static ioservid_t create(void)
{
    struct xen_dm_op op = {.op = XEN_DMOP_create_ioreq_server};

    assert_int_equal(dm_op(&op), 0);
    return op.u.create_ioreq_server.id;
}

static void enable(ioservid_t id)
{
    struct xen_dm_op op = {.op = XEN_DMOP_set_ioreq_server_state, .u.set_ioreq_server_state = {.id = id, .enabled = 1}};

    assert_int_equal(dm_op(&op), 0);
}

static void destroy(ioservid_t id)
{
    struct xen_dm_op op = {.op = XEN_DMOP_destroy_ioreq_server, .u.destroy_ioreq_server.id = id};

    assert_int_equal(dm_op(&op), 0);
}

static void map_page(ioservid_t id)
{
    mfn_t mfn;
    int rc;

    current = &dom0_vcpu;
    rc = ioreq_server_get_frame(&guest, id, XENMEM_resource_ioreq_server_frame_ioreq(0), &mfn);
    current = &vcpu[0];
    assert_int_equal(rc, 0);
}

static void claim(ioservid_t id)
{
    struct xen_dm_op op = {
        .op = XEN_DMOP_map_io_range_to_ioreq_server,
        .u.map_io_range_to_ioreq_server = {.id = id, .type = XEN_DMOP_IO_RANGE_MEMORY,
                                           .start = BAR, .end = BAR + BAR_SIZE - 1},
    };

    assert_int_equal(dm_op(&op), 0);
}

static ioservid_t serve(void)
{
    const ioservid_t id = create();

    map_page(id);
    enable(id);
    claim(id);
    return id;
}

static ioreq_t *slot(ioservid_t id)
{
    return &((shared_iopage_t *)guest.ioreq_server.server[id]->ioreq.va)->vcpu_ioreq[0];
}

static void wake(void)
{
    clear_bit(_VPF_blocked_in_xen, &vcpu[0].pause_flags);
}

static uint64_t answer_data;
static ioreq_t asked;

static void answer(void)
{
    ioreq_t *const p = slot(0);

    assert_int_equal(p->state, STATE_IOREQ_READY);
    p->state = STATE_IOREQ_INPROCESS;
    asked = *p;
    p->data = answer_data;
    p->state = STATE_IORESP_READY;
    wake();
}

static int start(void **state)
{
    unsigned int i;

    memset(&guest, 0, sizeof(guest));
    memset(&regs, 0, sizeof(regs));
    for (i = 0; i < ARRAY_SIZE(regs.x); i++) {
        regs.x[i] = BEFORE;
    }
    guest = (struct domain){
        .domain_id = 1, .creation_finished = true, .options = XEN_DOMCTL_CDF_trap_unmapped_accesses,
    };
    for (i = 0; i < VCPUS; i++) {
        vcpu[i] = (struct vcpu){.domain = &guest, .vcpu_id = i};
        guest.vcpu[i] = &vcpu[i];
    }
    dom0_vcpu.domain = &dom0;
    current = &vcpu[0];
    meanwhile = NULL;
    asleep = answer;
    answer_data = 0x1122334455667788;
    asked = (ioreq_t){0};
    softirqs = rounds = 0;
    stuck = false;
    ioreq_domain_init(&guest);
    return 0;
}

static int stop(void **state)
{
    ioreq_server_destroy_all(&guest);
    assert_int_equal(guest.ioreq_server.lock, 0);
    return 0;
}

/* On the way back to the guest: returns false if it never gets there. */
static bool leave(void)
{
    if (setjmp(out) == 0) {
        while (!guest.crashed && !vcpu_ioreq_handle_completion(&vcpu[0])) {
            one_more_round();
        }
    }
    return !stuck;
}

/* A trapped instruction, as traps.c goes about it. */
static enum io_state execute(struct hsr_dabt dabt, struct instr_details decoded)
{
    mmio_info_t info = {.dabt = dabt, .gpa = BAR + 0x10};
    enum io_state rc;

    info.dabt.ec = HSR_EC_DATA_ABORT_LOWER_EL;
    if (decoded.state == INSTR_ERROR) {
        try_decode_instruction(&regs, &info);
    } else {
        info.dabt_instr = decoded;
    }
    rc = try_handle_mmio(&regs, &info);
    if (rc == IO_HANDLED) {
        finalize_instr_emulation(&info.dabt_instr);
        regs.pc += 4;
    }
    assert_true(leave());
    return rc;
}

static const struct instr_details by_syndrome;

static enum io_state load(unsigned int size_log2)
{
    return execute((struct hsr_dabt){.valid = 1, .reg = 5, .size = size_log2, .sf = 1}, by_syndrome);
}

static enum io_state store(unsigned int size_log2)
{
    return execute((struct hsr_dabt){.valid = 1, .reg = 5, .size = size_log2, .write = 1}, by_syndrome);
}

static enum io_state clean(void)
{
    return execute((struct hsr_dabt){.cache = 1, .write = 1}, by_syndrome);
}

static void a_load_and_a_store(void **state)
{
    serve();
    assert_int_equal(load(2), IO_RETRY);
    assert_int_equal(regs.x[5], 0x55667788);
    assert_int_equal(regs.pc, 4);
    assert_int_equal(asked.addr, BAR + 0x10);
    assert_int_equal(asked.dir, IOREQ_READ);
    regs.x[5] = 0x99aabbccddeeff00;
    assert_int_equal(store(3), IO_RETRY);
    assert_int_equal(regs.x[5], 0x99aabbccddeeff00);
    assert_int_equal(asked.data, 0x99aabbccddeeff00);
    assert_int_equal(regs.pc, 8);
}

/* ldr w5, [bar]; then x5 is something else; dc civac, [bar] */
static void cache_maintenance_of_what_is_claimed_changes_no_register(void **state)
{
    serve();
    assert_int_equal(load(2), IO_RETRY);
    regs.x[5] = BEFORE;
    assert_int_equal(clean(), IO_HANDLED);
    assert_int_equal(regs.x[5], BEFORE);
    assert_int_equal(regs.pc, 8);
    assert_int_equal(load(3), IO_RETRY);
    assert_int_equal(regs.x[5], answer_data);
}

static void cache_maintenance_after_a_store_and_first_of_all(void **state)
{
    serve();
    assert_int_equal(clean(), IO_HANDLED);
    assert_int_equal(store(2), IO_RETRY);
    assert_int_equal(clean(), IO_HANDLED);
    assert_int_equal(regs.x[0], BEFORE);
    assert_int_equal(regs.x[5], BEFORE);
    assert_int_equal(regs.pc, 12);
    assert_int_equal(vcpu[0].io.req.state, STATE_IOREQ_NONE);
}

/* ldr w5, [x6], #4: there is no syndrome, and what regs->hsr seems to say is not so. */
static void a_load_that_had_to_be_decoded(void **state)
{
    const struct instr_details decoded = {.state = INSTR_LDR_STR_POSTINDEXING, .rn = 6, .imm9 = 4};

    serve();
    assert_int_equal(execute((struct hsr_dabt){.valid = 1, .reg = 5, .size = 2}, decoded), IO_RETRY);
    assert_int_equal(regs.x[5], 0x55667788);
    assert_int_equal(regs.x[6], BEFORE + 4);
    assert_int_equal(regs.x[0], BEFORE);
}

static void only_the_bits_of_the_access(void **state)
{
    const uint64_t mask[] = {0xff, 0xffff, 0xffffffff, ~0ull};
    unsigned int i;

    serve();
    answer_data = ~0ull;
    for (i = 0; i < ARRAY_SIZE(mask); i++) {
        regs.x[5] = BEFORE;
        assert_int_equal(load(i), IO_RETRY);
        assert_int_equal(regs.x[5], mask[i]);
        assert_int_equal(asked.data, 0); /* a load gives nothing away */
        regs.x[5] = 0x99aabbccddeeff00;
        assert_int_equal(store(i), IO_RETRY);
        assert_int_equal(asked.data, 0x99aabbccddeeff00 & mask[i]);
    }
}

static void a_signed_load_into_a_w_register(void **state)
{
    serve();
    answer_data = ~0ull;
    assert_int_equal(execute((struct hsr_dabt){.valid = 1, .reg = 5, .size = 0, .sign = 1}, by_syndrome), IO_RETRY);
    assert_int_equal(regs.x[5], 0xffffffff);
    assert_int_equal(execute((struct hsr_dabt){.valid = 1, .reg = 5, .size = 2, .sign = 1, .sf = 1}, by_syndrome),
                     IO_RETRY);
    assert_int_equal(regs.x[5], ~0ul);
}

/* The domain is about to be suspended: nobody is asked, and the instruction is run again when it goes on. */
static void a_suspended_access(void **state)
{
    serve();
    assert_int_equal(load(2), IO_RETRY);
    regs.x[5] = BEFORE;
    vcpu[0].paused_for_shutdown = true;
    assert_int_equal(load(2), IO_RETRY);
    assert_int_equal(regs.x[5], BEFORE);
    assert_int_equal(regs.pc, 4);
    assert_int_equal(slot(0)->state, STATE_IOREQ_NONE);
    vcpu[0].paused_for_shutdown = false;
    assert_int_equal(load(2), IO_RETRY);
    assert_int_equal(regs.x[5], 0x55667788);
    assert_int_equal(regs.pc, 8);
}

static void nobody_to_ask(void **state)
{
    const ioservid_t id = serve();

    slot(id)->state = STATE_IOREQ_INPROCESS; /* before there is a request: it is not sent */
    assert_int_equal(load(2), IO_UNHANDLED);
    slot(id)->state = STATE_IOREQ_NONE;
    slot(id)->vp_eport ^= 1;
    assert_int_equal(load(2), IO_UNHANDLED);
    slot(id)->vp_eport ^= 1;
    assert_int_equal(regs.x[5], BEFORE);
    assert_int_equal(clean(), IO_HANDLED);
    assert_int_equal(regs.x[5], BEFORE);
    assert_int_equal(load(2), IO_RETRY);
    destroy(id);
    regs.x[5] = BEFORE;
    assert_int_equal(load(2), IO_UNHANDLED);
    assert_int_equal(clean(), IO_UNHANDLED);
    assert_int_equal(regs.x[5], BEFORE);
    assert_int_equal(regs.pc, 8);
}

static void destroy_it(void)
{
    destroy(0);
}

static void destroyed_while_a_vcpu_waits(void **state)
{
    serve();
    asleep = destroy_it;
    assert_int_equal(load(2), IO_RETRY);
    assert_int_equal(regs.x[5], 0xffffffff);
    assert_int_equal(regs.pc, 4);
    assert_false(vcpu[0].defer_shutdown);
    assert_false(guest.crashed);
}

static unsigned int wakes;

static void wake_for_nothing(void)
{
    if (++wakes == 20) {
        answer();
    }
    wake();
}

static void woken_for_nothing(void **state)
{
    serve();
    wakes = 0;
    asleep = wake_for_nothing;
    assert_int_equal(load(2), IO_RETRY);
    assert_int_equal(regs.x[5], 0x55667788);
    assert_int_equal(softirqs, 20); /* each time others got their turn */
}

static void back_and_forth(void)
{
    slot(0)->state = slot(0)->state == STATE_IOREQ_READY ? STATE_IOREQ_INPROCESS : STATE_IOREQ_READY;
}

/* Another processor turns its slot's state: without a bound the vCPU would look at it for ever, at EL2. */
static void a_state_that_goes_back_and_forth_crashes_the_guest(void **state)
{
    serve();
    meanwhile = back_and_forth;
    assert_int_equal(load(2), IO_RETRY);
    assert_true(guest.crashed);
    assert_true(rounds < 5);
    assert_int_equal(regs.x[5], BEFORE);
}

static void back_while_asleep(void)
{
    back_and_forth();
    wake();
}

/* The same, seen only after having slept: what was seen before the sleep is not forgotten. */
static void a_state_that_goes_back_while_the_vcpu_sleeps_crashes_the_guest(void **state)
{
    serve();
    asleep = back_while_asleep;
    assert_int_equal(load(2), IO_RETRY);
    assert_true(guest.crashed);
    assert_true(rounds < 10);
    assert_true(softirqs >= 1);
}

static void forget_it(void)
{
    slot(0)->state = STATE_IOREQ_NONE;
    wake();
}

static void a_request_that_is_forgotten_gives_all_ones(void **state)
{
    serve();
    asleep = forget_it;
    assert_int_equal(load(1), IO_RETRY);
    assert_int_equal(regs.x[5], 0xffff);
    assert_false(guest.crashed);
    asleep = answer;
    assert_int_equal(load(1), IO_RETRY); /* what was seen of that one does not count for this one */
    assert_int_equal(regs.x[5], 0x7788);
}

static void nonsense(void)
{
    slot(0)->state = 9;
    wake();
}

static void a_state_that_is_none_crashes_the_guest(void **state)
{
    serve();
    asleep = nonsense;
    assert_int_equal(load(2), IO_RETRY);
    assert_true(guest.crashed);
}

/* A guest that gives RAM back has all servers drop their mappings; one that was enabled too early has no slots. */
static void nothing_is_sent_to_a_server_without_a_page(void **state)
{
    const ioservid_t id = serve(), early = create();

    claim(early);
    enable(early);
    assert_int_equal(load(2), IO_RETRY); /* of the other one, though the newer one comes first */
    assert_int_equal(regs.x[5], 0x55667788);
    ioreq_request_mapcache_invalidate(&guest);
    assert_true(leave());
    assert_int_equal(asked.type, IOREQ_TYPE_INVALIDATE);
    assert_int_equal(slot(id)->state, STATE_IOREQ_NONE);
    map_page(early);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, start, stop)
    const struct CMUnitTest tests[] = {
        TEST(a_load_and_a_store),
        TEST(cache_maintenance_of_what_is_claimed_changes_no_register),
        TEST(cache_maintenance_after_a_store_and_first_of_all),
        TEST(a_load_that_had_to_be_decoded),
        TEST(only_the_bits_of_the_access),
        TEST(a_signed_load_into_a_w_register),
        TEST(a_suspended_access),
        TEST(nobody_to_ask),
        TEST(destroyed_while_a_vcpu_waits),
        TEST(woken_for_nothing),
        TEST(a_state_that_goes_back_and_forth_crashes_the_guest),
        TEST(a_state_that_goes_back_while_the_vcpu_sleeps_crashes_the_guest),
        TEST(a_request_that_is_forgotten_gives_all_ones),
        TEST(a_state_that_is_none_crashes_the_guest),
        TEST(nothing_is_sent_to_a_server_without_a_page),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
