#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The tryst authors
#
# The server ends in peace: sessions under way finish, within a limit; peers come back, or go where
# they are sent; whoever cannot wait says so twice.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh" || exit 1

second=$LAB/second.sock
SERVER_CONFIG+=("drain-timeout = 1h")

# listens SOCKET: bert is registered there
listens() {
    "$TRYSTCTL" --admin-socket "$1" --json peers 2>/dev/null |
        jq -e 'any(.peers[]; .name == "bert" and .listening)' >/dev/null
}

one_active() {
    [ "$(ctl --json sessions --active | jq '.sessions | length')" = 1 ]
}

# A session that waits for bert, who is stopped.
in_flight() {
    check "bert listens" lab_until 30 listens "$SERVER_SOCKET"
    kill -STOP "${PEER_PID[bert]}"
    peer_spawn anna connect bert </dev/null >"$LAB/nothing" 2>"$LAB/log/anna.err"
    asking=$!
    check "a session is under way" lab_until 20 one_active
}

ended() {
    lab_exit 0 "$SERVER_PID" 20 || fail "$1"
    ok "$1"
}

last() {
    sessions '.[0] | [.state, .reason.name]'
}

lab_pair linux-drop linux-rst
peer_listen bert -v --exec cat

complains 3 "no length of time" ctl drain --timeout soon
complains 3 "to: 'tryst://here': " ctl drain --to tryst://here
complains 3 "that is this server" ctl drain --to "$(ctl url)"

# ---- a session that ends in time ----

in_flight
check "an order to drain" ctl drain
ctl status | grep -q "^warning *draining" || fail "the status does not say that it drains"
kill -CONT "${PEER_PID[bert]}"
ended "the server ends when the session has"
check "which has met" lab_exit 0 $asking
server_start
same "and is recorded so" '["connected","ok"]' "$(last)"

# ---- one that does not ----

in_flight
check "an order to drain at once" ctl drain --timeout 0s
ended "the server does not wait longer than it was told"
kill -CONT "${PEER_PID[bert]}"
wait $asking
server_start
same "the session was given up" '["failed","draining"]' "$(last)"

# ---- now ----

in_flight
kill -TERM "$SERVER_PID"
lab_line "$LAB/log/trystd.err" "1 sessions under way have 3600 s" || fail "no drain on SIGTERM"
kill -INT "$SERVER_PID"
ended "a second signal does not wait"
kill -CONT "${PEER_PID[bert]}"
wait $asking
server_start
check "bert comes back" lab_until 30 listens "$SERVER_SOCKET"

# ---- elsewhere ----

# second_start MODE: another server, with registration so
second_start() {
    spawn server "$TRYSTD" --state-dir "$LAB/second" --admin-socket "$second" \
        --public-host "$SERVER_HOST" --registration "$1" --listen "$SERVER_V4" \
        --port 6382 --port 6383 --port 6384 2>>"$LAB/log/second.err"
    second_pid=$!
    lab_until 15 "$TRYSTCTL" --admin-socket "$second" url >"$LAB/second.url" 2>/dev/null ||
        fail "the second server does not start"
}

second_stop() {
    kill -TERM "$second_pid"
    lab_exit 0 "$second_pid" 20 || fail "the second server does not end"
}

second_start open
check "an order to go there" ctl drain --to "$(cat "$LAB/second.url")"
ended "the first server ends"
check "bert is at the second one" lab_until 30 listens "$second"
server_start
second_stop
check "and comes back to the first when that is gone" lab_until 60 listens "$SERVER_SOCKET"

second_start allowlist
check "an order to go where nobody may" ctl drain --to "$(cat "$LAB/second.url")"
ended "the first server ends again"
lab_line "$LAB/log/bert.listen" "does not know this key" 30 ||
    fail "bert was not refused: $(tail -3 "$LAB/log/bert.listen")"
server_start
check "who is refused there comes back" lab_until 60 listens "$SERVER_SOCKET"
second_stop
peer_stop bert
server_stop
