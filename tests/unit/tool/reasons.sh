#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Every reason that bridge/ gives for a refusal, and every name that it gives to what is in the way, stands in
# docs/binding.md, and in a unit test of bridge/. So do the hypervisor's own. And the tool's limits are the
# hypervisor's.
#
#   reasons.sh ROOT
set -u
root=$1
work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' EXIT
status=0

# The texts of a C file that have a space in them, without comments. Adjacent literals are looked for one by one.
texts()
{
    sed -e 's|/\*.*\*/||' -e '/^ *\/\*/,/\*\//d' "$@" | grep -v '^ *snprintf\|^#include' | grep -oE '"([^"\\]|\\.)*"' |
        sed -e 's/^"//' -e 's/"$//' -e 's/\\"/"/g' | grep ' ' | grep -v '%' | sort -u
}

# One line of all, in which a text may have been broken anywhere.
flatten()
{
    cat "$@" | tr -s '\n ' '  ' | sed -e 's/\\"/\x01/g' -e 's/" *"//g' -e 's/\x01/"/g'
}

texts "$root/bridge/binding.c" "$root/bridge/conflict.c" > "$work/reasons"
texts "$root/xen/ioreq-pci/build.c" > "$work/names"
echo "more than 4 bridges" >> "$work/names"
if [ "$(wc -l < "$work/reasons")" -lt 35 ]; then
    echo "only $(wc -l < "$work/reasons") reasons found: does this script still read C?"
    status=1
fi

flatten "$root/docs/binding.md" > "$work/docs"
flatten "$root"/tests/unit/bridge/*.c > "$work/tests"
while IFS= read -r text; do
    if ! grep -qF -- "$text" "$work/docs"; then
        echo "not in docs/binding.md: $text"
        status=1
    fi
done < "$work/reasons"
while IFS= read -r text; do
    if ! grep -qF -- "$text" "$work/docs"; then
        echo "not in docs/binding.md, of build.c: $text"
        status=1
    fi
done < "$work/names"
while IFS= read -r text; do
    if ! grep -qF -- "$text" "$work/tests"; then
        echo "not in a unit test of bridge/: $text"
        status=1
    fi
done < "$work/reasons"

hypervisor=$(sed -n 's/^#define IOREQ_PCI_BRIDGES *\([0-9]*\).*/\1/p' "$root/xen/ioreq-pci/private.h")
tool=$(sed -n 's/^#define DOMAIN_BRIDGES_MAX *\([0-9]*\).*/\1/p' "$root/tool/domain.h")
if [ -z "$hypervisor" ] || [ "$hypervisor" != "$tool" ]; then
    echo "bridges of a domain: the hypervisor has $hypervisor, the tool $tool"
    status=1
fi
exit $status
