#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The tryst authors
#
# kill -9 at random moments under load (KILLS of them, 200): whatever the daemon told a peer, that it
# is registered or how a session ended, is in the database after the next start; sessions that were
# under way are aborted; the database is sound. A moment is so many lines of the load's journal, drawn
# from SEED.
# shellcheck source-path=SCRIPTDIR source=daemon-lib.sh
. "$(dirname "$0")/daemon-lib.sh" || exit 1
crowd=$abs_top_builddir/tests/crowd
kills=${KILLS:-200}
RANDOM=${SEED:=$$}

on_failure() {
    echo "SEED=$SEED"
}

start() {
    since=$(date +%s%6N)
    start_daemon --registration open --log-level notice
}

lines() {
    wc -l <"$TMP/journal"
}

reached() {
    [ "$(lines)" -ge "$1" ] || ! kill -0 "$daemon" 2>/dev/null
}

# verify FROM TO WHEN
verify() {
    "$crowd" verify "$TMP/state/tryst.db" "$TMP/journal" "$1" "$2" "$since" >"$TMP/out" 2>&1 ||
        fail "$3: $(cat "$TMP/out")"
}

: >"$TMP/journal"
start
"$crowd" load "$(ctl url)" 64 "$TMP/journal" &
load=$!

from=0
for ((i = 1; i <= kills; i++)); do
    until_true reached $(($(lines) + 1 + RANDOM % 80)) || fail "the load stands still"
    kill_daemon || fail "the daemon has ended by itself"
    to=$(stat -c %s "$TMP/journal")
    start
    verify "$from" "$to" "after kill $i"
    from=$to
done
kill_daemon
kill "$load"
wait "$load" 2>/dev/null
start
verify 0 "$(stat -c %s "$TMP/journal")" "at the end"
echo "ok - $kills kills: $(cat "$TMP/out")"
