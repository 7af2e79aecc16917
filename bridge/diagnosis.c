/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One wording for one fault: the line that a developer reads on the desk (tool/) is the line that the hypervisor
 * prints at boot. The caller puts the node's name before it, and the newline after it.
 *
 *   <property>: <reason>
 *   <property>: [<field> ]<value>: <reason>[ <expected>]
 *   <property>: length <found> bytes (<n> cells): expected <m> bytes (<n> cells) <reason>
 *   <property>: <field> <value>: <first>-<last> overlaps <other> <first>-<last>; <reason>
 *
 * Only `property` and `other` come from a caller; they are cut to a length that keeps BRIDGE_DIAGNOSIS_MAX true.
 */
#include "bridge.h"

/* A number of the diagnosis as it is read in a message. */
struct number {
    char text[24];
};

static struct number number_of(const struct bridge_diagnosis *diagnosis, uint64_t value)
{
    const bool decimal = diagnosis->kind == BRIDGE_DIAGNOSIS_COUNT || diagnosis->kind == BRIDGE_DIAGNOSIS_INTERRUPTS;
    struct number number;

    snprintf(number.text, sizeof(number.text), decimal ? "%" PRIu64 : "0x%" PRIx64, value);
    return number;
}

void bridge_diagnosis_format(const struct bridge_diagnosis *diagnosis, char *text, size_t size)
{
    const struct number value = number_of(diagnosis, diagnosis->value);

    switch (diagnosis->kind) {
    case BRIDGE_DIAGNOSIS_ADDRESS:
    case BRIDGE_DIAGNOSIS_COUNT:
        snprintf(text, size, "%.48s: %s%s%s: %s%s%s", diagnosis->property,
                 diagnosis->field != NULL ? diagnosis->field : "", diagnosis->field != NULL ? " " : "", value.text,
                 diagnosis->reason, diagnosis->expected != 0U ? " " : "",
                 diagnosis->expected != 0U ? number_of(diagnosis, diagnosis->expected).text : "");
        break;

    case BRIDGE_DIAGNOSIS_LENGTH:
        snprintf(text, size,
                 "%.48s: length %" PRIu64 " bytes (%" PRIu64 " cells): expected %" PRIu64 " bytes (%" PRIu64
                 " cells) %s", diagnosis->property, diagnosis->value, diagnosis->value / 4U, diagnosis->expected,
                 diagnosis->expected / 4U, diagnosis->reason);
        break;

    case BRIDGE_DIAGNOSIS_RANGES:
    case BRIDGE_DIAGNOSIS_INTERRUPTS:
        snprintf(text, size, "%.48s: %s %s: %s-%s overlaps %.48s %s-%s; %s", diagnosis->property, diagnosis->field,
                 value.text, number_of(diagnosis, diagnosis->first).text, number_of(diagnosis, diagnosis->last).text,
                 diagnosis->other, number_of(diagnosis, diagnosis->other_first).text,
                 number_of(diagnosis, diagnosis->other_last).text, diagnosis->reason);
        break;

    default: /* BRIDGE_DIAGNOSIS_PROPERTY */
        snprintf(text, size, "%.48s: %s", diagnosis->property, diagnosis->reason);
        break;
    }
}
