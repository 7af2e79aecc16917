/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What one 4 KiB read at queue depth 1 costs, counted and not timed, on the local platform with a driver that behaves
 * as Linux's: a notification for each request, an interrupt for each completion, with INTx a read of the ISR status.
 *
 *   blocking    guest accesses for which a vCPU stops until the device model has answered; a doorbell is none
 *   hypercalls  of the device model: answers told to the hypervisor, and interrupts raised and lowered
 *   interrupts  that the guest takes
 *
 * Prints one line for MSI-X and one for INTx; exit code 1 when more blocking requests are needed than the bar allows.
 */
#include <stdio.h>

#include "driver.h"

#define READS          1000u
#define BAR_MSIX       0.0
#define BAR_INTX       1.0
#define BLOCK          4096u

struct cost {
    double blocking;
    double hypercalls;
    double interrupts;
};

static uint32_t interrupt_of(const struct driver *driver)
{
    return driver->msix ? driver_msix_interrupt(driver, 1)
                        : bridge_intx_interrupt(&driver->machine->bridge, driver->device, 1);
}

static void read_once(struct driver *driver, unsigned int i, uint64_t *interrupts)
{
    const uint64_t sector = (uint64_t)i * 8 % (MACHINE_SECTORS - 8);

    if (blk_request(driver, VIRTIO_BLK_T_IN, sector, BLOCK) != VIRTIO_BLK_S_OK ||
        *(uint64_t *)driver_data(driver) != machine_word(sector * 64)) {
        fail_msg("read %u went wrong", i);
    }
    while (!local_guest_take(driver->machine->guest, interrupt_of(driver))) {
        machine_turn(driver->machine);
    }
    ++*interrupts;
    if (!driver->msix && machine_read(driver->machine, driver->isr, 1) != 1) {
        fail_msg("interrupt %u had no cause", i);
    }
}

static struct cost measure(bool intx_only)
{
    struct machine machine;
    struct driver driver;
    struct local_counters *counters;
    uint64_t interrupts = 0;
    struct cost cost;

    machine_start(&machine, &(struct machine_options){ .intx_only = intx_only });
    driver_probe(&driver, &machine, 1);
    driver_start(&driver, DRIVER_FEATURES);
    counters = local_guest_counters(machine.guest);
    *counters = (struct local_counters){ 0 };
    for (unsigned int i = 0; i < READS; i++) {
        read_once(&driver, i, &interrupts);
    }
    cost.blocking = (double)counters->blocking / READS;
    cost.hypercalls =
        (double)(counters->answers + counters->interrupts + counters->claims + counters->releases) / READS;
    cost.interrupts = (double)interrupts / READS;
    machine_finish(&machine);
    return cost;
}

static bool print(const char *name, const struct cost *cost, double bar)
{
    const bool good = cost->blocking <= bar;

    (void)printf("%-6s blocking %.2f (bar %.0f)  hypercalls %.2f  interrupts %.2f  %s\n", name, cost->blocking, bar,
                 cost->hypercalls, cost->interrupts, good ? "ok" : "TOO MANY");
    return good;
}

int main(void)
{
    const struct cost msix = measure(false);
    const struct cost intx = measure(true);
    bool good;

    (void)printf("one 4 KiB read at queue depth 1, average of %u\n", READS);
    good = print("MSI-X", &msix, BAR_MSIX);
    good = print("INTx", &intx, BAR_INTX) && good;
    return good ? 0 : 1;
}
