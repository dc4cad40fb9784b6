# shellcheck shell=bash
# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The tryst authors
#
# The NAT laboratory; every lab test begins by sourcing this file. The script then runs again in
# namespaces of its own (network, mounts, processes, and users where it is not root), so that it
# touches nothing on the machine, and all of it is gone when the script ends, in whatever way.
#
#   lib.sh        namespaces, reporting, waiting (this file)
#   lib_net.sh    server, sites behind NATs, hosts
#   lib_tryst.sh  trystd and peers on them, and what must be true of a session
#
# Environment: TRYST, TRYSTD, TRYSTCTL, NATBOX, LABTOOL the programs; LAB_KEEP=DIR keeps the logs;
# LAB_PCAP=1 captures the packets of every site there too (needs tcpdump); LAB_BIG how many MiB a
# large transfer has.
set -u
export LC_ALL=C

LAB_SOURCE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
LAB_NAME=${0##*/}
: "${abs_top_builddir:=$(cd "$LAB_SOURCE/../.." && pwd)/build}"
: "${TRYST:=$abs_top_builddir/tryst}" "${TRYSTD:=$abs_top_builddir/trystd}"
: "${TRYSTCTL:=$abs_top_builddir/trystctl}" "${NATBOX:=$abs_top_builddir/tests/natlab/natbox}"
: "${LABTOOL:=$abs_top_builddir/tests/natlab/labtool}" "${LAB_BIG:=256}" "${SANITIZER:=no}"

# ---- reporting ----

ok() {
    echo "ok - $*"
}

note() {
    echo "# $*"
}

# In CI every test must be able to run, so not being able to is a failure there.
skip() {
    echo "skip - $LAB_NAME: $*"
    case ${CI:-} in '' | 0 | false) exit 77 ;; esac
    echo "not ok - a lab test may not skip in CI"
    exit 1
}

# Ends the test. The logs follow, from the EXIT trap.
fail() {
    echo "not ok - $*"
    exit 1
}

# check WHAT COMMAND...: one assertion
check() {
    local what=$1
    shift
    "$@" || fail "$what (failed: $*)"
    ok "$what"
}

# same WHAT WANTED GOT
same() {
    [ "$2" = "$3" ] || fail "$1: wanted '$2', got '$3'"
    ok "$1"
}

# complains STATUS REGEX COMMAND...: ends with this status, and says something on stderr that
# matches
complains() {
    local wanted=$1 regex=$2 status
    shift 2
    "$@" </dev/null >"$LAB/stdout" 2>"$LAB/stderr"
    status=$?
    if [ $status -ne "$wanted" ] || ! grep -qE -e "$regex" "$LAB/stderr"; then
        note "stderr of: $*"
        sed 's/^/# | /' "$LAB/stderr"
        fail "wanted status $wanted and /$regex/, got status $status"
    fi
    ok "status $status: $(grep -m 1 -E -e "$regex" "$LAB/stderr" | cut -c 1-160)"
}

# ---- waiting ----

# lab_until SECONDS COMMAND...: until the command succeeds; false if it does not in time.
# Sanitizers are slow.
lab_until() {
    local end=$((SECONDS + 1 + $1 * LAB_PATIENCE))
    shift
    until "$@"; do
        [ $SECONDS -lt $end ] || return 1
        sleep 0.02
    done
}

# lab_line FILE REGEX [SECONDS]: until a line of the file matches
lab_line() {
    lab_until "${3:-15}" grep -qsE -e "$2" "$1"
}

lab_gone() {
    ! kill -0 "$1" 2>/dev/null
}

# lab_exit WANTED PID [SECONDS]: the process ends by itself in time, with this status
lab_exit() {
    local status
    lab_until "${3:-30}" lab_gone "$2" || {
        note "process $2 still runs"
        return 1
    }
    wait "$2"
    status=$?
    [ $status -eq "$1" ] && return
    note "exit status $status instead of $1"
    return 1
}

LAB_PATIENCE=1
[ "$SANITIZER" = no ] || LAB_PATIENCE=4

# ---- namespaces ----

# What a test could not do without; also run in every kind of namespaces that is tried.
lab_trial() {
    mount -t tmpfs tmpfs /run && ip netns add trial && ip -n trial link add name br0 type bridge &&
        ip -n trial link add name end0 type veth peer name end1 &&
        nsenter --net=/run/netns/trial nft \
            'add table ip t; add chain ip t c { type nat hook postrouting priority 100; }'
}

lab_need() {
    local tool
    for tool; do
        command -v "$tool" >/dev/null || skip "$tool is missing (./bootstrap check installs it)"
    done
}

# Root needs no user namespace, unless it is a root without power (in a container, say). With a
# range of user ids sshd can drop its privileges; without one all else works.
lab_enter() {
    local spaces=(--net --mount --pid --fork --kill-child --mount-proc) kind kinds=()
    [ "$(id -u)" -ne 0 ] || kinds+=("")
    kinds+=("--user --map-root-user --map-auto" "--user --map-root-user")
    lab_need ip nft unshare nsenter mount jq

    for kind in "${kinds[@]}"; do
        # shellcheck disable=SC2086 # several words, or none
        if unshare $kind "${spaces[@]}" bash -c "$(declare -f lab_trial); lab_trial" \
            >/dev/null 2>&1; then
            # shellcheck disable=SC2086
            LAB_INSIDE=$$ exec unshare $kind "${spaces[@]}" bash "$0" "$@"
        fi
    done
    skip "this user may not make network namespaces here (neither directly nor in a user namespace)"
}

lab_begin() {
    local program
    for program in "$TRYST" "$TRYSTD" "$TRYSTCTL" "$LABTOOL"; do
        [ -x "$program" ] || fail "$program is not built"
    done
    mount -t tmpfs tmpfs /run || fail "cannot mount on /run"
    LAB=/run/lab
    mkdir -p $LAB/log $LAB/home $LAB/state
    export TMPDIR=$LAB HOME=$LAB/home
    unset LAB_INSIDE XDG_CONFIG_HOME XDG_RUNTIME_DIR TRYST_HOME TRYST_SERVER NOTIFY_SOCKET
    trap lab_end EXIT
    # The first process of a PID namespace ignores signals that it has no trap for.
    trap 'exit 143' TERM INT HUP
}

lab_show_logs() {
    local file
    for file in "$LAB"/log/*; do
        [ -s "$file" ] || continue
        case $file in *.pcap) continue ;; esac
        echo "--- ${file##*/} (last lines)"
        tail -n 40 "$file"
    done
}

lab_end() {
    local status=$?
    trap - EXIT
    case $status in 0 | 77) ;; *) lab_show_logs ;; esac
    if [ -n "${LAB_KEEP:-}" ]; then
        mkdir -p "$LAB_KEEP/$LAB_NAME"
        cp -r $LAB/log/. "$LAB_KEEP/$LAB_NAME"
    fi
    # Whatever still runs goes with the namespace; sanitizers get to speak first.
    if [ "$SANITIZER" != no ]; then
        # shellcheck disable=SC2046
        kill -TERM $(jobs -p) 2>/dev/null
        wait
    fi
    exit "$status"
}

if [ -z "${LAB_INSIDE:-}" ]; then
    lab_enter "$@"
fi
lab_begin

# shellcheck source=lib_net.sh
. "$LAB_SOURCE/lib_net.sh"
# shellcheck source=lib_tryst.sh
. "$LAB_SOURCE/lib_tryst.sh"
