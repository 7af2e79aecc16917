#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# Configuration files: of those that are wrong every fault is told, with its line, and nothing else; those that are good
# are good. Usage: config-file.sh PROGRAM DIRECTORY
#
# What is expected of bad-*.ini stands in its last lines: "#: LINE: MESSAGE", or "#  MESSAGE" for one without a line.
set -u
program=$1
failures=0
work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' EXIT

# expect CODE EXPECTED-FILE ARGUMENT...: what the program prints is what that file has in it.
expect() {
    code=$1
    expected=$2
    shift 2
    "$program" "$@" > "$work/said" 2>&1
    got=$?
    if [ "$got" -ne "$code" ]; then
        echo "'$*': exit code $got instead of $code"
        failures=$((failures + 1))
    fi
    if ! diff -a "$expected" "$work/said"; then
        echo "'$*' should say what is marked with <"
        failures=$((failures + 1))
    fi
}

# say MESSAGE ARGUMENT...: it says that, and no more; with --check-config and without.
say() {
    printf 'sidebridge-dm: %s\n' "$1" > "$work/expected"
    shift
    expect 1 "$work/expected" --check-config "$@"
    expect 2 "$work/expected" "$@"
}

: > "$work/nothing"
for file in "$2"/good-*.ini; do
    expect 0 "$work/nothing" --check-config --config "$file"
done
for file in "$2"/bad-*.ini; do
    sed -n "s|^#: |sidebridge-dm: $file:|p; s|^#  |sidebridge-dm: |p" "$file" > "$work/expected"
    expect 1 "$work/expected" --check-config --config "$file"
    expect 2 "$work/expected" --config "$file"
done

file=$work/file.ini
echo '[sidebridge-dm]' > "$file"
echo 'domain = 1' >> "$file"
say "$work/none.ini: cannot be opened (No such file or directory)" --config "$work/none.ini"
say "$work: is no regular file (Invalid argument)" --config "$work"
say "/dev/zero: is no regular file (Invalid argument)" --config /dev/zero
mkfifo "$work/pipe"
say "$work/pipe: is no regular file (Invalid argument)" --config "$work/pipe"
say "--config may be given once: '$file' (try --help)" --config "$file" --config "$file"
say "--config wants a value: FILE: '' (try --help)" --config ''
cp "$file" "$work/long.ini"
head -c 65536 /dev/zero | tr '\0' '#' | head -c $((65536 - $(wc -c < "$file"))) >> "$work/long.ini"
say "$work/long.ini:3: is too long" --config "$work/long.ini"
echo >> "$work/long.ini"
say "$work/long.ini: is longer than 65536 bytes" --config "$work/long.ini"

# What the command line says counts, in whichever order, but the file is to be right; devices come from both.
expect 0 "$work/nothing" --check-config --domain 2 --config "$file" --blk a
say "another device has the same name: 'a' (try --help)" --config "$file" --rng name=a --blk b,name=a
echo 'domain = x' > "$work/tail"
sed '$d' "$file" | cat - "$work/tail" > "$work/wrong.ini"
say "$work/wrong.ini:2: [sidebridge-dm] domain wants a number, 1 to 32751: 'x'" --domain 2 --config "$work/wrong.ini"
printf '[blk a]\nfile = a\n[blk b]\nfile = b\naddr = 3\n' >> "$file"
say "$file:5: another device has the same addr: '3'" --rng addr=3 --config "$file"
say "another device has the same addr: '3' (try --help)" --config "$file" --rng addr=3

[ "$failures" -eq 0 ]
