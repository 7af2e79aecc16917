#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Real boards' trees with domains put into them: field/*.dts, an overlay for one of Debian's .dtb files, which
# testbed/setup keeps, where the source has a line "// base: FILE". Each must get the messages of its `// expect:` lines
# (expect.sh). Prints TAP.
#
#   field.sh TOOL ROOT
set -u
tool=$1
root=$2
cases=$root/tests/unit/tool/field
work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' EXIT
bases=$(for directory in "$root"/build/kernel/*/dtbs; do [ -d "$directory" ] && echo "$directory"; done | tail -n 1)
number=0
failed=0

# make NAME: the blob; status 77: there is no such base here.
make_blob() {
    base=$(sed -n 's|^// base: ||p' "$cases/$1.dts")
    if [ -z "$base" ]; then
        dtc -q -I dts -O dtb -o "$work/$1.dtb" "$cases/$1.dts"
    elif [ ! -f "$bases/$base" ]; then
        return 77
    else
        dtc -q -@ -I dts -O dtb -o "$work/$1.dtbo" "$cases/$1.dts" &&
            fdtoverlay -i "$bases/$base" -o "$work/$1.dtb" "$work/$1.dtbo"
    fi
}

for source in "$cases"/*.dts; do
    name=$(basename "$source" .dts)
    number=$((number + 1))
    make_blob "$name" 2> "$work/said"
    made=$?
    if [ "$made" -eq 77 ]; then
        echo "ok $number - $name # SKIP no $base: testbed/setup fetches it"
    elif [ "$made" -eq 0 ] &&
        sh "$root/tests/unit/tool/expect.sh" "$tool" "$source" "$work/$name.dtb" > "$work/said"; then
        echo "ok $number - $name"
    else
        echo "not ok $number - $name"
        sed 's/^/# /' "$work/said"
        failed=1
    fi
done
echo "1..$number"
exit $failed
