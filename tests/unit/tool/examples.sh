#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Every example of a domain in docs/binding.md, which is an indented block from `domU1 {` on, is a tree that the tool
# accepts and makes nodes for.
#
#   examples.sh TOOL DTC ROOT
set -u
tool=$1
dtc=$2
root=$3
work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' EXIT
status=0

# example-N.dts: what lies between the line of `domU1 {` and the line of `};` that is indented as far.
sed -e 's/{ \.\.\. }/{ }/' "$root/docs/binding.md" | awk -v work="$work" '
    !name && /^ +domU1 \{$/ {
        match($0, /^ +/)
        end = substr($0, 1, RLENGTH) "};"
        name = work "/example-" ++count ".dts"
        print "/dts-v1/;\n/ { #address-cells = <2>; #size-cells = <2>;\n" \
              "interrupt-controller@8000000 { compatible = \"arm,gic-v3\"; interrupt-controller; };\n" \
              "chosen { #address-cells = <2>; #size-cells = <2>;\n" \
              "dom0 { compatible = \"multiboot,kernel\", \"multiboot,module\"; " \
              "reg = <0 0xc0000000 0 0x1000000>; };" > name
    }
    name && $0 == end {
        print "kernel { compatible = \"multiboot,kernel\", \"multiboot,module\"; " \
              "reg = <0 0xc1000000 0 0x1000000>; };" > name
    }
    name { print > name }
    name && $0 == end { print "domU2 { compatible = \"xen,domain\"; cpus = <1>; memory = <0 0x10000>; " \
                              "kernel { compatible = \"multiboot,kernel\", \"multiboot,module\"; " \
                              "reg = <0 0xc2000000 0 0x1000000>; }; }; }; };" > name; close(name); name = "" }'

count=0
for source in "$work"/example-*.dts; do
    count=$((count + 1))
    if ! "$dtc" -q -I dts -O dtb -o "$work/tree.dtb" "$source" ||
        ! "$tool" check "$work/tree.dtb" > "$work/said" 2>&1 ||
        grep -q 'warning: ' "$work/said" || ! grep -q ' 1 with a bridge' "$work/said" ||
        ! "$tool" node "$work/tree.dtb" domU1 > "$work/nodes" 2>&1; then
        cat "$source" "$work/said"
        status=1
    fi
done
if [ "$count" -ne 4 ]; then
    echo "$count examples: one for each spelling makes 4"
    status=1
fi
exit $status
