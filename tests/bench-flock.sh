#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The tryst authors
#
# How 5,000 peers (PEERS) come back: all at once, for what the daemon can take; after a drain, which
# spreads them; and after a kill, when only their own pauses do. Prints figures, judges nothing.
set -u
export LC_ALL=C

: "${TRYSTD:?}" "${abs_top_builddir:?}"
peers=${PEERS:-5000}
TMP=$(mktemp -d)
daemon="" flock=""

# shellcheck disable=SC2317 # by the trap
clean() {
    exec 9>&-
    [ -z "$flock" ] || wait "$flock"
    [ -z "$daemon" ] || kill -9 "$daemon"
    rm -rf "$TMP"
}
trap clean EXIT
trap 'exit 130' INT TERM HUP

# until_true COMMAND...: within five minutes
until_true() {
    local end=$((SECONDS + 300))
    until "$@"; do
        [ $SECONDS -lt $end ] || {
            echo "bench-flock.sh: gave up waiting: $*" >&2
            tail -n 5 "$TMP/log" >&2
            exit 1
        }
        sleep 0.02
    done
}

serves() {
    grep -q ' serves ' "$TMP/log"
}

start() {
    : >"$TMP/log"
    "$TRYSTD" -c "$TMP/conf" 2>"$TMP/log" 9>&- & # or the crowd would not see its end
    daemon=$!
    until_true serves
}

told() {
    [ "$(wc -l <"$TMP/flock")" -ge "$1" ]
}

cat >"$TMP/conf" <<END
state-dir = "$TMP/state"
admin-socket = "$TMP/admin"
listen = {"127.0.0.1"}
port = {"$((20000 + $$ % 3000 * 4))", "$((20001 + $$ % 3000 * 4))", "$((20002 + $$ % 3000 * 4))"}
registration = open
log-level = notice
END
mkfifo "$TMP/stdin"
start
url=$(sed -n 's/.* serves \([^ ]*\) on .*/\1/p' "$TMP/log")
"$abs_top_builddir/tests/crowd" flock "$url" "$peers" <"$TMP/stdin" >"$TMP/flock" &
flock=$!
exec 9>"$TMP/stdin"
until_true told 1
echo "all at once:   $(sed -n 1p "$TMP/flock")"
kill -TERM "$daemon"
wait "$daemon"
start
until_true told 2
echo "after a drain: $(sed -n 2p "$TMP/flock")"
kill -KILL "$daemon"
wait "$daemon" 2>/dev/null
start
until_true told 3
echo "after a kill:  $(sed -n 3p "$TMP/flock")"
