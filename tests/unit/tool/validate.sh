#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The guest nodes of every good device tree pass dt-validate, with dt-schema's own schemas and those in schemas/, and
# dtc reads them without a warning. Then the same with one fault at a time, each of which must be noticed: dt-validate
# ignores a schema that it does not like, and would accept everything.
#
#   validate.sh TOOL DTC DT_VALIDATE SCHEMAS BLOB...
set -u
tool=$1
dtc=$2
dt_validate=$3
schemas=$4
shift 4
if [ "$dt_validate" = missing ]; then
    echo "dt-validate (package dt-schema) is not installed"
    exit 77
fi
work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' EXIT
status=0

for blob; do
    name=$(basename "$blob" .dtb)
    case $name in
        good-typo | good-child-typo | good-virtio-pci-typo)
            continue # has no bridge
            ;;
    esac
    if ! "$tool" node -O dtb "$blob" domU1 > "$work/$name.dtb" 2> "$work/errors"; then
        cat "$work/errors"
        status=1
        continue
    fi
    "$dtc" -I dtb -O dts -o /dev/null "$work/$name.dtb" 2>> "$work/said"
    # The source that is printed is the same tree.
    "$tool" node "$blob" domU1 2> /dev/null | "$dtc" -I dts -O dtb -o "$work/again" - 2>> "$work/said"
    "$dtc" -q -s -I dtb -O dts "$work/again" > "$work/again.dts"
    "$dtc" -q -s -I dtb -O dts "$work/$name.dtb" > "$work/first.dts"
    if ! cmp "$work/first.dts" "$work/again.dts"; then
        echo "$name: -O dts and -O dtb differ"
        status=1
    fi
done

# What dt-validate says is all that it says: its exit status is 0 whatever it finds.
"$dt_validate" -s "$schemas" "$work"/good-*.dtb >> "$work/said" 2>&1
if [ -s "$work/said" ]; then
    cat "$work/said"
    status=1
fi

"$dtc" -q -I dtb -O dts -o "$work/full.dts" "$work/good-full.dtb"
count=0
while IFS= read -r fault; do
    count=$((count + 1))
    sed "$fault" "$work/full.dts" > "$work/broken.dts"
    if cmp -s "$work/full.dts" "$work/broken.dts"; then
        echo "the fault changes nothing: $fault"
        status=1
    fi
    "$dtc" -q -f -I dts -O dtb -o "$work/broken-$count.dtb" "$work/broken.dts"
    printf '%s %s\n' "broken-$count.dtb" "$fault" >> "$work/faults"
done << 'FAULTS'
s/pcie@/pcix@/
s/device_type = "pci"/device_type = "pcie"/
s/reg = <0x00 0x10000000 0x00 0x1000000>/reg = <0x00 0x10000000 0x00 0x1000000 0x00 0x00 0x00 0x01>/
s/ranges = <0x2000000/ranges = <0x42000000/
s/ranges = .*/foo;/
s/dma-coherent;//
s/linux,pci-domain/linux,domain/
s/iommu-map-mask = .*//
s/iommu-map-mask = .*/iommu-map-mask = <0xffff>;/
s/interrupt-map = <\(\(0x[0-9a-f]* \)\{7\}0x[0-9a-f]*\).*/interrupt-map = <\1>;/
s/arm,msi-num-spis = .*//
s/msi-controller;//
s/#iommu-cells = .*//
s/xen,ioreq-pci-status";/&foo;/
FAULTS

"$dt_validate" -s "$schemas" "$work"/broken-*.dtb > "$work/broken" 2>&1
if grep -q Traceback "$work/broken"; then
    cat "$work/broken"
    status=1
fi
while read -r file fault; do
    if ! grep -q "/$file: " "$work/broken"; then
        echo "dt-validate accepts: $fault"
        status=1
    fi
done < "$work/faults"
exit $status
