/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * cost FUNCTIONS BRIDGES ACCESSES: what cost.py counts the instructions of.
 *
 * One server claims FUNCTIONS functions of the last of BRIDGES bridges; then the guest reads ACCESSES configuration
 * registers, of the functions in turn, each of which is forwarded and answered.
 */
#include "machine.h"

static struct machine machine;

int main(int argc, char **argv)
{
    unsigned int functions, bridges, accesses, index, server, i;

    if (argc != 4) {
        return 2;
    }
    functions = (unsigned int)atoi(argv[1]);
    bridges = (unsigned int)atoi(argv[2]);
    accesses = (unsigned int)atoi(argv[3]);
    index = bridges - 1;
    machine_start(&machine, bridges, 0, 2);
    server = machine_server(&machine);
    for (i = 0; i < functions; i++) {
        const uint64_t sbdf = index << 16 | i;

        ASSERT(server_map(&machine.guest, server, XEN_DMOP_IO_RANGE_PCI, sbdf, sbdf) == 0);
    }
    for (i = 0; i < accesses; i++) {
        const uint64_t gpa = machine_bridge(&machine, index)->ecam.base + (i * 37 % functions) * 0x1000ull;

        ASSERT(guest_read(&machine, gpa, 4).state == IO_RETRY);
        ASSERT(machine_request(&machine)->type == IOREQ_TYPE_PCI_CONFIG);
        machine_answer(&machine, 0);
    }
    machine_stop(&machine);
    return 0;
}
