/* SPDX-License-Identifier: BSD-2-Clause */
/* See tap.h. Xen makes a line of its own of what comes up to a newline, and prints it at once. */
#include "tap.h"

#include <stdarg.h>

/* SBSA UART (Arm SBSA, appendix B). */
#define UART_DATA      0x00u
#define UART_FLAG      0x18u
#define UART_FLAG_FULL (1u << 5)
#define UART_PATIENCE  1000000u

#define FAULTS_PRINTED 4u

static uintptr_t uart;

static struct {
    const char *name;
    unsigned int number; /* of tests so far */
    unsigned int failed; /* tests */
    unsigned int checks; /* of this test */
    unsigned int faults; /* of this test */
} tap;

void console_open(uintptr_t address)
{
    uart = address;
}

static void put_character(char character)
{
    volatile uint32_t *const flag = (volatile uint32_t *)(uart + UART_FLAG);
    volatile uint32_t *const data = (volatile uint32_t *)(uart + UART_DATA);

    if (uart == 0) {
        return;
    }
    for (unsigned int i = 0; i < UART_PATIENCE && (*flag & UART_FLAG_FULL) != 0; i++) {
    }
    *data = (uint8_t)character;
}

static void put_text(const char *text)
{
    while (*text != '\0') {
        put_character(*text++);
    }
}

static void put_number(uint64_t number, unsigned int base)
{
    char digits[24];
    unsigned int count = 0;

    do {
        digits[count++] = "0123456789abcdef"[number % base];
        number /= base;
    } while (number != 0);
    while (count != 0) {
        put_character(digits[--count]);
    }
}

void console_print(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    for (; *format != '\0'; format++) {
        if (*format != '%') {
            put_character(*format);
            continue;
        }
        switch (*++format) {
        case 's':
            put_text(va_arg(arguments, const char *));
            break;
        case 'u':
            put_number(va_arg(arguments, unsigned int), 10);
            break;
        case 'x':
            put_text("0x");
            put_number(va_arg(arguments, uint64_t), 16);
            break;
        default:
            put_character(*format);
            break;
        }
    }
    va_end(arguments);
}

void test_begin(const char *name)
{
    tap.name = name;
    tap.checks = 0;
    tap.faults = 0;
}

void test_end(void)
{
    const bool good = tap.faults == 0 && tap.checks != 0;

    tap.number++;
    tap.failed += good ? 0 : 1;
    console_print("%sok %u - %s (%u checks", good ? "" : "not ", tap.number, tap.name, tap.checks);
    if (tap.faults != 0) {
        console_print(", %u faults", tap.faults);
    }
    console_print(")\n");
    tap.name = "between tests";
    tap.faults = 0;
}

void test_skip(const char *name, const char *why)
{
    console_print("ok %u - %s # SKIP %s\n", ++tap.number, name, why);
}

void test_count(unsigned int checks)
{
    tap.checks += checks;
}

bool test_fault(void)
{
    tap.checks++;
    return ++tap.faults <= FAULTS_PRINTED;
}

void test_require(bool holds, const char *what)
{
    if (holds) {
        test_count(1);
    } else if (test_fault()) {
        console_print("# not so: %s\n", what);
    }
}

void test_finish(void)
{
    if (tap.faults != 0) {
        test_end(); /* an exception between tests */
    }
    console_print("1..%u\n", tap.number);
    console_print("sb: guest end conformance status %u\n", tap.failed != 0 ? 1u : 0u);
}

_Noreturn void test_bail_out(const char *why)
{
    console_print("Bail out! %s\nsb: guest end conformance status 1\n", why);
    for (;;) {
        __asm__ volatile("wfi");
    }
}
