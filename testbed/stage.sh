# SPDX-License-Identifier: BSD-2-Clause
# Sourced by the testbed's scripts: names the directories, reports progress,
# and skips a stage whose result is already there.
#
# A stage is a name, a fingerprint of everything that its result depends on,
# and a command. After the command has succeeded the fingerprint is kept in
# build/stamps/NAME; the next run with the same fingerprint does nothing. What
# the command prints goes to build/logs/setup-NAME.log. When it has ended one
# line says so: stages that do not depend on each other may run side by side.
#
# Call stage() as a plain command, never after if, && or ||: bash ignores
# "set -e" in whatever such a condition calls, and errors would pass unseen.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=$root/build
mkdir -p "$build/stamps" "$build/logs"

# die MESSAGE WHAT-TO-DO
die() {
    printf '%s: %s\n  what to do: %s\n' "${0##*/}" "$1" "$2" >&2
    exit 1
}

# One hash over the arguments: files and directories by content, others as words.
fingerprint() {
    local input
    for input in "$@"; do
        if [[ -d $input ]]; then
            (cd "$input" && find . -type f ! -name '*.pyc' -print0 |
                LC_ALL=C sort -z | xargs -0r sha256sum)
        elif [[ -f $input ]]; then
            sha256sum < "$input"
        else
            printf '%s\n' "$input"
        fi
    done | sha256sum | cut -c1-64
}

# Whether the stage NAME has yet to be done, given its fingerprint.
pending() {
    [[ $(cat "$build/stamps/$1" 2> /dev/null) != "$2" ]]
}

# For a script that takes no arguments, called with its own: prints the comment that it begins with if there are any.
no_arguments() {
    (($#)) || return 0
    awk 'NR > 2 { if (!/^#/) exit; sub(/^# ?/, ""); print }' "$0"
    [[ $1 == --help ]] && exit 0 || exit 2
}

# What whatever comes from Debian's archive depends on.
archive_fingerprint() {
    fingerprint "$root/testbed/apt-arm64"
}

# A stage that comes before those that fetch packages: old lists name some that the archive no longer has.
package_lists() {
    stage package-lists "$(fingerprint "$(archive_fingerprint)" "$(date +%F)")" "$root/testbed/apt-arm64" update
}

# stage NAME FINGERPRINT COMMAND [ARG...]
stage() {
    local name=$1 print=$2 begin=$EPOCHREALTIME status log stamp
    shift 2
    stamp=$build/stamps/$name
    log=$build/logs/setup-$name.log
    if [[ -f $stamp && $(<"$stamp") == "$print" ]]; then
        printf '%-24s up to date\n' "$name"
        return
    fi
    rm -f "$stamp"
    set +e
    (set -e; "$@") > "$log" 2>&1 < /dev/null
    status=$?
    set -e
    if ((status != 0)); then
        printf '%-24s FAILED\n' "$name"
        tail -n 15 "$log" | sed 's/^/    /' >&2
        die "$name: exit status $status" "read $log; then run this command again"
    fi
    printf '%s\n' "$print" > "$stamp"
    awk -v name="$name" -v a="$begin" -v b="$EPOCHREALTIME" 'BEGIN { printf "%-24s %6.1f s\n", name, b - a }'
}
