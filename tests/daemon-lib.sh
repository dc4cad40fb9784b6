# shellcheck shell=bash
# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The tryst authors
#
# For the tests and benchmarks of a real daemon on the loopback (sourced): a directory of its own,
# assertions, and an end of all that was started.
set -u
export LC_ALL=C
: "${abs_top_srcdir:=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)}"
: "${abs_top_builddir:=$abs_top_srcdir/build}"
: "${TRYST:=$abs_top_builddir/tryst}" "${TRYSTD:=$abs_top_builddir/trystd}"
: "${TRYSTCTL:=$abs_top_builddir/trystctl}"
unset COLUMNS NO_COLOR TERM TRYST_SERVER NOTIFY_SOCKET JOURNAL_STREAM
TMP=$(mktemp -d) || exit 1
socket=$TMP/admin.sock log=$TMP/log
daemon='' base='' served=no
patience=60 # seconds that an event may take

# shellcheck disable=SC2046,SC2317 # pids; by the trap
stop() {
    [ -z "$(jobs -p)" ] || kill $(jobs -p) 2>/dev/null
    wait
    ! declare -F on_end >/dev/null || on_end
    rm -rf "$TMP"
}
trap stop EXIT
trap 'exit 130' INT TERM HUP

# A script may have on_end and on_failure of its own.
fail() {
    local file
    echo "not ok - $*"
    ! declare -F on_failure >/dev/null || on_failure
    for file in out err answer log; do
        [ ! -e "$TMP/$file" ] || tail -n 20 "$TMP/$file" | cut -c 1-300 | sed "s/^/$file: /"
    done
    exit 1
}

check() {
    local what=$1
    shift
    "$@" || fail "$what (failed: $*)"
    echo "ok - $what"
}

# until_true COMMAND...: in time
until_true() {
    local end=$((SECONDS + patience))
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $end ] || return 1
        sleep 0.01
    done
}

# ---- the daemon ----

# start_daemon OPTION...: on ports from base on, the same ones once it has served there. `configure`,
# where a script has it, is called when they are known.
start_daemon() {
    local try
    for try in 1 2 3 4 5 6 7 8 9 10; do
        [ $served = yes ] || base=$((20000 + (RANDOM + $$ + try * 97) % 30000))
        ! declare -F configure >/dev/null || configure
        "$TRYSTD" --state-dir "$TMP/state" --admin-socket "$socket" --listen 127.0.0.1 \
            --port $base --port $((base + 1)) --port $((base + 2)) --public-host 127.0.0.1 \
            "$@" 2>"$log" &
        daemon=$!
        while kill -0 $daemon 2>/dev/null; do
            ! ctl status >/dev/null 2>&1 || { served=yes && return 0; }
            sleep 0.02
        done
        wait $daemon
    done
    daemon=
    fail "trystd does not start"
}

# Returns its exit status.
end_daemon() {
    local status=0
    kill "$daemon"
    wait "$daemon" || status=$?
    daemon=
    return $status
}

# Fails where it has ended by itself.
kill_daemon() {
    kill -KILL "$daemon" 2>/dev/null || return 1
    wait "$daemon" 2>/dev/null
    daemon=
}

# ---- trystctl ----

ctl() {
    "$TRYSTCTL" --admin-socket "$socket" "$@"
}

# run STATUS ARGUMENT...: what it prints is in out and err
run() {
    local wanted=$1 status=0
    shift
    ctl "$@" >"$TMP/out" 2>"$TMP/err" </dev/null || status=$?
    [ $status -eq "$wanted" ] || fail "trystctl $*: status $status, not $wanted"
    [ $status -eq 0 ] || [ -s "$TMP/err" ] || [ -s "$TMP/out" ] || fail "trystctl $*: not a word"
}

# complains STATUS REGEXP ARGUMENT...
complains() {
    local status=$1 text=$2
    shift 2
    run "$status" "$@"
    grep -qE -e "$text" "$TMP/err" || fail "trystctl $*: no word of '$text'"
    echo "ok - trystctl $*: $text"
}

# says REGEXP ARGUMENT...
says() {
    local text=$1
    shift
    run 0 "$@"
    grep -qE -e "$text" "$TMP/out" || fail "trystctl $*: no word of '$text'"
    echo "ok - trystctl $*: $text"
}
