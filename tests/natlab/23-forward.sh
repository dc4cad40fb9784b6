#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The tryst authors
#
# Every way to use a connection: ports forwarded on both ends with many connections at once,
# half-closed ones, commands, and large transfers both ways.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh" || exit 1

big=$((LAB_BIG * 1024 * 1024))

echo_on() {
    on "$1" "$LABTOOL" echo 127.0.0.1 "$2" >"$LAB/echo-$1" &
    lab_line "$LAB/echo-$1" ready || fail "echo on $1"
}

lab_server 0
lab_site home linux-drop
lab_site away linux-rst
lab_host home anna
lab_host away bert
server_start
peer_join anna anna
peer_join bert bert

echo_on bert 7000
peer_listen bert --forward 127.0.0.1:7000
peer_spawn anna connect -v -L 9000 bert 2>"$LAB/log/anna.forward"
forward=$!
port_is_open() {
    [ -n "$(on anna ss -Hltn 'sport = :9000')" ]
}
check "-L listens" lab_until 15 port_is_open
check "40 connections at once through it, each end by itself" \
    on anna "$LABTOOL" exchange 127.0.0.1 9000 40 1 200000
check "200 short ones after it" on anna "$LABTOOL" exchange 127.0.0.1 9000 200 100 1
check "$LAB_BIG MiB out and back through it" on anna "$LABTOOL" exchange 127.0.0.1 9000 1 1 $big
kill -TERM $forward
wait $forward 2>/dev/null
peer_stop bert

peer_listen bert --forward 127.0.0.1:7001
peer anna connect bert </dev/null >"$LAB/nothing" 2>"$LAB/log/anna.refused"
note "a forward to nobody ends with status $?"
check "not a byte comes from it" test ! -s "$LAB/nothing"
peer_stop bert

peer_listen bert --exec "wc -c"
same "a command reads to the end, then answers" 1000000 \
    "$("$LABTOOL" send 1 1000000 | peer anna connect bert 2>"$LAB/log/anna.exec")"
peer_stop bert

talk anna bert $big
peer bert listen --once --name bert --allow all --plain </dev/null 2>>"$LAB/log/bert.listen" |
    "$LABTOOL" check 1 $big &
plain=$!
: >"$LAB/log/bert.listen"
peer_listens bert || fail "bert does not listen"
"$LABTOOL" send 1 $big | peer anna connect --plain bert 2>"$LAB/log/anna.plain"
same "$LAB_BIG MiB without encryption of our own" 0 $?
check "and they arrived" lab_exit 0 $plain
