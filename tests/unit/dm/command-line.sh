#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# The command line of sidebridge-dm: exit codes, and messages that name what is wrong. Usage: command-line.sh PROGRAM
set -u
program=$1
failures=0

# expect CODE WORDS ARGUMENT...: the program ends with that code, and what it prints contains the words.
expect() {
    code=$1
    words=$2
    shift 2
    output=$("$program" "$@" 2>&1)
    got=$?
    if [ "$got" -ne "$code" ]; then
        echo "'$*': exit code $got instead of $code: $output"
        failures=$((failures + 1))
    fi
    case $output in
    *"$words"*) ;;
    *)
        echo "'$*': '$output' does not say '$words'"
        failures=$((failures + 1))
        ;;
    esac
}

expect 0 'Usage: sidebridge-dm --domain N' --help
expect 0 'sidebridge-dm ' --version
for option in --help --version; do
    said=$("$program" $option 2>&1 > /dev/full)
    if [ $? -ne 1 ] || [ "$said" != 'sidebridge-dm: standard output: No space left on device' ]; then
        echo "'$option > /dev/full' says '$said'"
        failures=$((failures + 1))
    fi
done
expect 2 "--domain is missing"
expect 2 "--domain is missing" --blk disk
expect 2 "--domain wants a number, 1 to 32751: 'x'" --domain x
expect 2 "--domain wants a number, 1 to 32751: '-1'" --domain -1
expect 2 "--domain wants a number, 1 to 32751: '1x'" --domain 1x
expect 2 "--domain wants a number, 1 to 32751: '0'" --domain 0
expect 2 "--domain wants a number, 1 to 32751: '0x'" --domain 0x
expect 2 "--domain wants a value: N: ''" --domain ''
expect 2 "--domain wants a number, 1 to 32751: '32752'" --domain 32752
expect 2 "--domain wants a number, 1 to 32751: '99999999999999999999'" --domain 99999999999999999999
expect 2 "--bridge wants a number, 0 to 65535: 'one'" --domain 1 --bridge one
expect 2 "--map-limit wants a number, 8 to 4294967295: '7'" --domain 1 --map-limit 7
expect 2 "--map-limit wants a number, 8 to 4294967295: '8M'" --domain 1 --map-limit 8M
expect 2 "--blk: file wants a value: FILE: ''" --domain 1 --blk ''
expect 2 "--blk: file wants a value: FILE: ''" --domain 1 --blk ,readonly
expect 2 "--blk knows no option: 'ro'" --domain 1 --blk disk,ro
expect 2 "--blk knows no option: ''" --domain 1 --blk disk,
expect 2 "--blk: readonly is 'on' or 'off': 'yes'" --domain 1 --blk disk,readonly=yes
expect 2 "--blk: id wants a value: ID: ''" --domain 1 --blk disk,id
expect 2 "--blk: addr wants a number, 1 to 31: '0'" --domain 1 --blk disk,addr=0
expect 2 "--blk: addr wants a number, 1 to 31: '32'" --domain 1 --blk disk,readonly,addr=32
expect 2 "--blk: addr wants a value: N: ''" --domain 1 --blk disk,addr=
expect 2 "--net: queues wants a number, 1 to 8: '9'" --domain 1 --net tap=tap0,queues=9
expect 2 "--net: mtu wants a number, 68 to 65535: '67'" --domain 1 --net tap=tap0,mtu=67
expect 2 "an option is missing: '--share'" --domain 1 --no-ready --blk disk
expect 2 "--share without a device; an option is missing, such as: '--blk'" --domain 1 --share
expect 2 "--sandbox wants on|off|require: 'yes'" --domain 1 --sandbox=yes
expect 2 "--sandbox=require excludes another option: '--no-sandbox'" --domain 1 --sandbox=require --no-sandbox
expect 2 "--user wants a number, 1 to 2147483647: '0'" --domain 1 --user 0
expect 2 "--user wants a number, 1 to 2147483647: 'nobody'" --domain 1 --user nobody
expect 2 "--user wants a number, 1 to 2147483647: '2147483648'" --domain 1 --user 2147483648
expect 2 "no such argument: 'disk'" --domain 1 disk
expect 2 "--poll-us wants a number, 0 to 1000: '1001'" --domain 1 --poll-us 1001
expect 2 'try sidebridge-dm --help' --domain 1 --nothing
expect 2 'try sidebridge-dm --help' --domain
expect 2 'too many devices' --domain 1 $(for i in $(seq 32); do echo --blk disk$i; done)

expect 2 "--ask without a command: 'help'" --ask /nowhere/control
expect 1 'sidebridge-dm: /nowhere/control: No such file or directory' --ask /nowhere/control status
expect 1 "sidebridge-dm: $0: " --ask "$0" status

expect 1 '/nowhere/state: cannot be opened (No such file or directory)' --domain 1 --state /nowhere/state --blk "$0"
expect 1 ': nowhere: cannot be opened (No such file or directory)' --domain 1 --state /nowhere/state --blk nowhere

# Without Xen: the command line is good, what it asks for is not to be had.
if [ ! -e /dev/xen/privcmd ]; then
    expect 1 'domain 1: no /dev/xen/privcmd' --domain 1 --blk disk,readonly,id=a,,b,addr=31 --share --no-ready
fi

# Started by an init without a console: what is said to nobody must not be said to the file that got descriptor 2.
if [ ! -e /dev/xen/privcmd ]; then
    work=$(mktemp -d) || exit 99
    trap 'rm -rf "$work"' EXIT
    head -c 4096 /dev/zero > "$work/disk"
    set -- --domain 1 --no-sandbox --state "$work/state" --blk "$work/disk"
    "$program" "$@" 2>&-
    "$program" "$@" >&- 2>&-
    "$program" "$@" <&- >&- 2>&-
    expect 1 'domain 1: no /dev/xen/privcmd' "$@"
    # Nor where there is nothing to put in the place of what is closed.
    if unshare -rm mount -t tmpfs none /dev 2> "$work/said"; then
        unshare -rm sh -c 'mount -t tmpfs none /dev && exec "$@" 2>&-' sh "$program" "$@"
        unshare -rm sh -c 'mount -t tmpfs none /dev && exec "$@" <&- >&- 2>&-' sh "$program" "$@"
        said=$(unshare -rm sh -c 'mount -t tmpfs none /dev && exec "$@"' sh "$program" "$@" 2>&1)
        if [ $? -ne 1 ] || [ "${said%%:*}" != sidebridge-dm ] ||
            [ "${said#*/dev/null cannot be opened}" = "$said" ]; then
            echo "without /dev/null: '$said'"
            failures=$((failures + 1))
        fi
        expect 1 'domain 1: no /dev/xen/privcmd' "$@"
    fi
    if ! head -c 4096 /dev/zero | cmp -s - "$work/disk"; then
        echo 'without standard descriptors: the disk was written to'
        failures=$((failures + 1))
    fi
fi

[ "$failures" -eq 0 ]
