#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The tryst authors
#
# kill -9 at random moments under load (KILLS of them, 200): whatever the daemon told a peer, that it
# is registered or how a session ended, is in the database after the next start; sessions that were
# under way are aborted; the database is sound. A moment is so many lines of the load's journal, drawn
# from SEED.
set -u
export LC_ALL=C

: "${TRYSTD:?}" "${abs_top_builddir:?}"
crowd=$abs_top_builddir/tests/crowd
kills=${KILLS:-200}
RANDOM=${SEED:=$$}
TMP=$(mktemp -d)
daemon="" load=""

# shellcheck disable=SC2317 # by the trap
clean() {
    exec 9>&-
    [ -z "$load" ] || wait "$load"
    [ -z "$daemon" ] || kill -9 "$daemon"
    rm -rf "$TMP"
}
trap clean EXIT
trap 'exit 130' INT TERM HUP

fail() {
    echo "not ok - $* (SEED=$SEED)"
    tail -n 20 "$TMP/log"
    exit 1
}

# until_true COMMAND...: within a minute
until_true() {
    local end=$((SECONDS + 60))
    until "$@"; do
        [ $SECONDS -lt $end ] || return 1
        sleep 0.005
    done
}

serves() {
    grep -q ' serves ' "$TMP/log" || ! kill -0 "$daemon" 2>/dev/null
}

start() {
    : >"$TMP/log"
    since=$(date +%s%6N)
    "$TRYSTD" -c "$TMP/conf" 2>"$TMP/log" 9>&- & # or the crowd would not see its end
    daemon=$!
    until_true serves
    grep -q ' serves ' "$TMP/log" || fail "the daemon does not start"
}

lines() {
    wc -l <"$TMP/journal"
}

reached() {
    [ "$(lines)" -ge "$1" ] || ! kill -0 "$daemon" 2>/dev/null
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
: >"$TMP/journal"
start
url=$(sed -n 's/.* serves \([^ ]*\) on .*/\1/p' "$TMP/log")
"$crowd" load "$url" 64 "$TMP/journal" <"$TMP/stdin" &
load=$!
exec 9>"$TMP/stdin"

from=0
for ((i = 1; i <= kills; i++)); do
    until_true reached $(($(lines) + 1 + RANDOM % 80)) || fail "the load stands still"
    kill -9 "$daemon" 2>/dev/null || fail "the daemon has ended by itself"
    wait "$daemon" 2>/dev/null
    daemon=""
    to=$(stat -c %s "$TMP/journal")
    start
    "$crowd" verify "$TMP/state/tryst.db" "$TMP/journal" "$from" "$to" "$since" >"$TMP/out" 2>&1 ||
        fail "after kill $i: $(cat "$TMP/out")"
    from=$to
done
kill -9 "$daemon"
wait "$daemon" 2>/dev/null
exec 9>&-
wait "$load"
load=""
start
"$crowd" verify "$TMP/state/tryst.db" "$TMP/journal" 0 "$(stat -c %s "$TMP/journal")" "$since" \
    >"$TMP/out" 2>&1 || fail "at the end: $(cat "$TMP/out")"
echo "ok - $kills kills: $(cat "$TMP/out")"
