#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Builds and runs interleave.c under a sanitizer. Usage: interleave.sh SANITIZER SECONDS, such as "thread 20" or
# "address,undefined 20". Exit status 0 if it found nothing.
set -euo pipefail

[[ $# -eq 2 ]] || { echo "usage: ${0##*/} SANITIZER SECONDS" >&2; exit 2; }
root=$(cd "$(dirname "$0")/../.." && pwd)
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT

gcc -std=gnu11 -D_GNU_SOURCE -D__XEN__ -O1 -g -fno-strict-aliasing -fsanitize="$1" -fno-sanitize-recover=all -Wno-tsan \
    -I"$root"/tests/hypervisor{,/include} -I"$root"/xen{,/ioreq-pci} -I"$root"/bridge \
    "$root"/xen/ioreq-pci/*.c "$root"/bridge/*.c "$root"/tests/hypervisor/{machine,interleave}.c \
    "$root"/tests/hypervisor/stubs/*.c -o "$directory/interleave" -lfdt -lpthread
timeout $(($2 + 120)) "$directory/interleave" "$2"
echo "ok 1 - $2 s of interleavings under $1"
