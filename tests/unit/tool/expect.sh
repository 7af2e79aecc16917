#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Checks a device tree with the tool, and its messages against the `// expect:` lines of its source: all of them, in
# order, and no others. The exit status must be 1 if one of them is an error, else 0. Options of the tool are in a line
# `// options:`.
#
#   expect.sh TOOL SOURCE BLOB
set -u
tool=$1
source=$2
blob=$3
work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' EXIT

sed -n 's|^// expect: ||p' "$source" > "$work/expected"
options=$(sed -n 's|^// options: ||p' "$source")
# shellcheck disable=SC2086 # words
"$tool" check $options "$blob" > "$work/output" 2> "$work/errors"
status=$?

wanted=0
if grep -qvE ': (warning|note): ' "$work/expected"; then
    wanted=1
fi
sed "s|^$blob: ||" "$work/errors" > "$work/messages"
if ! diff -u "$work/expected" "$work/messages"; then
    exit 1
fi
if [ "$status" -ne "$wanted" ]; then
    echo "exit status $status, expected $wanted"
    exit 1
fi
