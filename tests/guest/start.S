/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The first instructions of the guest: the header of an arm64 Linux Image (Linux, Documentation/arm64/booting.rst), by
 * which Xen loads it at any 2 MiB boundary; relocation; exception vectors. Further down what C cannot say: loads into
 * each register.
 */
#define R_AARCH64_RELATIVE 1027
#define FRAME_SIZE         272 /* x0..x30, and the vector's number: struct frame of abort.c */
#define CALLEE_SAVED       96  /* x19..x30 */

    .section .head, "ax"
    .globl _start
_start:
    b       entry
    .long   0
    .quad   0              /* offset from a 2 MiB boundary */
    .quad   __end - _start /* size in memory */
    .quad   0xa            /* little-endian, 4 KiB pages, anywhere in memory */
    .quad   0, 0, 0
    .ascii  "ARM\x64"
    .long   0

    .text
/* x0: the device tree's address. MMU and caches are off, interrupts masked. */
entry:
    mov     x19, x0
    adrp    x3, _start
    adrp    x1, __rela_start
    add     x1, x1, :lo12:__rela_start
    adrp    x2, __rela_end
    add     x2, x2, :lo12:__rela_end
1:  cmp     x1, x2
    b.hs    2f
    ldp     x4, x5, [x1], #16
    ldr     x6, [x1], #8
    cmp     x5, #R_AARCH64_RELATIVE
    b.ne    1b
    add     x6, x6, x3
    str     x6, [x3, x4]
    b       1b
2:  adrp    x1, __stack_end
    add     sp, x1, :lo12:__stack_end
    bl      exceptions
    mov     x0, x19
    bl      mmu_enable
    msr     daifclr, #4    /* a system error is to be seen */
    mov     x0, x19
    bl      guest_main
3:  wfi
    b       3b

exceptions:
    adrp    x1, vectors
    add     x1, x1, :lo12:vectors
    msr     vbar_el1, x1
    mov     x1, #(3 << 20) /* libfdt is compiled with vector registers */
    msr     cpacr_el1, x1
    isb
    ret

/* Where PSCI starts all vCPUs but the first; x0: the end of its stack. MMU and caches are off, interrupts masked. */
    .globl  secondary_entry
secondary_entry:
    mov     sp, x0
    bl      exceptions
    bl      mmu_join
    msr     daifclr, #4
    bl      vcpus_secondary
4:  wfi
    b       4b

/* After abort_report() the instruction after the one that trapped is next. */
    .balign 2048
vectors:
    .set    number, 0
    .rept   16
    .balign 128
    sub     sp, sp, #FRAME_SIZE
    stp     x0, x1, [sp]
    mov     x0, #number
    b       trap
    .set    number, number + 1
    .endr

trap:
    stp     x2, x3, [sp, #16]
    stp     x4, x5, [sp, #32]
    stp     x6, x7, [sp, #48]
    stp     x8, x9, [sp, #64]
    stp     x10, x11, [sp, #80]
    stp     x12, x13, [sp, #96]
    stp     x14, x15, [sp, #112]
    stp     x16, x17, [sp, #128]
    stp     x18, x19, [sp, #144]
    stp     x29, x30, [sp, #232]
    bl      abort_report
    mrs     x0, elr_el1
    add     x0, x0, #4
    msr     elr_el1, x0
    ldp     x29, x30, [sp, #232]
    ldp     x18, x19, [sp, #144]
    ldp     x16, x17, [sp, #128]
    ldp     x14, x15, [sp, #112]
    ldp     x12, x13, [sp, #96]
    ldp     x10, x11, [sp, #80]
    ldp     x8, x9, [sp, #64]
    ldp     x6, x7, [sp, #48]
    ldp     x4, x5, [sp, #32]
    ldp     x2, x3, [sp, #16]
    ldp     x0, x1, [sp]
    add     sp, sp, #FRAME_SIZE
    eret

    .macro  save_callee_saved
    sub     sp, sp, #CALLEE_SAVED
    stp     x19, x20, [sp]
    stp     x21, x22, [sp, #16]
    stp     x23, x24, [sp, #32]
    stp     x25, x26, [sp, #48]
    stp     x27, x28, [sp, #64]
    stp     x29, x30, [sp, #80]
    .endm

    .macro  restore_callee_saved
    ldp     x29, x30, [sp, #80]
    ldp     x27, x28, [sp, #64]
    ldp     x25, x26, [sp, #48]
    ldp     x23, x24, [sp, #32]
    ldp     x21, x22, [sp, #16]
    ldp     x19, x20, [sp]
    add     sp, sp, #CALLEE_SAVED
    .endm

/*
 * void load_each_register(uintptr_t address, uint64_t value[33]): loads eight bytes into x0 to x30 and into the zero
 * register, and stores what is there then; the last of value[] is by how much the zero
 * register's load has moved the stack pointer.
 */
    .globl  load_each_register
load_each_register:
    save_callee_saved
    mov     x30, x0
    mov     x29, x1
    .irp    n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28
    ldr     x\n, [x30]
    .endr
    .irp    n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28
    str     x\n, [x29, #(8 * \n)]
    .endr
    mov     x0, x29
    mov     x1, x30
    ldr     x29, [x1]
    ldr     x30, [x1]
    str     x29, [x0, #(8 * 29)]
    str     x30, [x0, #(8 * 30)]
    mov     x2, sp
    ldr     xzr, [x1]
    mov     x3, sp
    mov     sp, x2
    str     xzr, [x0, #(8 * 31)]
    sub     x3, x3, x2
    str     x3, [x0, #(8 * 32)]
    restore_callee_saved
    ret

/* void store_each_register(uintptr_t address): stores x0 to x30 and the zero register there, eight bytes each. */
    .globl  store_each_register
store_each_register:
    save_callee_saved
    mov     x30, x0
    .irp    n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29
    str     x\n, [x30]
    .endr
    str     xzr, [x30]
    mov     x0, x30
    str     x30, [x0]
    restore_callee_saved
    ret
