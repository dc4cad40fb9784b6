#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The tryst authors
#
# Ten thousand sockets that say nothing, or half a handshake: others are served as if they were not
# there, and their time runs out. Where connections are capped, the cap keeps the server alive, and
# it recovers.
# shellcheck source-path=SCRIPTDIR/natlab source=lib.sh
. "$(dirname "$0")/natlab/lib.sh" || exit 1

idle_count=10000
[ "$(ulimit -Hn)" = unlimited ] || [ "$(ulimit -Hn)" -gt 10500 ] || {
    idle_count=$(($(ulimit -Hn) - 500))
    note "the limit on descriptors allows $idle_count"
}
ulimit -Sn "$(ulimit -Hn)"

# idle_start NAME COUNT [HEX]: a line into descriptor 5 asks how many the server has closed
idle_start() {
    rm -f "$LAB/$1.ask"
    mkfifo "$LAB/$1.ask"
    exec 5<>"$LAB/$1.ask"
    spawn mallory "$LABTOOL" idle "$SERVER_V4" 5382 "${@:2}" \
        <"$LAB/$1.ask" >"$LAB/$1.said" 2>"$LAB/log/$1"
    lab_line "$LAB/$1.said" "^open" 60 || fail "$1: not opened"
    note "$1: $(head -n 1 "$LAB/$1.said")"
}

# All that the other side has closed or refused.
idle_closed() {
    echo >&5
    sleep 0.05
    [ "$(tail -n 1 "$LAB/$1.said")" = "closed $2" ]
}

hello() {
    same "$1" hello "$(echo hello | peer anna connect bert 2>"$LAB/log/anna")"
}

lab_server 0
lab_site home public
lab_host home anna
lab_host home bert
lab_host home mallory
SERVER_CONFIG=("max-connections-per-address = 20000" "handshake-timeout = 15s"
    "max-handshakes = 40000" "max-handshakes-per-address = 20000")
server_start
peer_join anna anna
peer_join bert bert
peer_listen bert --exec cat

idle_start mute "$idle_count"
hello "$idle_count mute sockets, and a session works"
note "the server's memory: $(awk '/^VmRSS/ { print $2, $3 }' "/proc/$SERVER_PID/status")"
check "their time runs out" lab_until 40 idle_closed mute "$idle_count"
exec 5>&-
idle_start half "$((idle_count / 5))" 006101a1a2a3
hello "$((idle_count / 5)) half handshakes, and a session works"
check "their time runs out too" lab_until 40 idle_closed half "$((idle_count / 5))"
exec 5>&-
server_stop

SERVER_CONFIG=("max-connections = 500" "handshake-timeout = 5s")
server_start
peer_back() {
    [ "$(ctl --json peers | jq '[.peers[] | select(.name == "bert")] | length')" = 1 ]
}
check "the listener is back" lab_until 30 peer_back
idle_start flood 3000
check "a cap on connections: the server answers its operator" ctl status
check "and has kept its peer" peer_back
check "the flood is turned away" lab_until 40 idle_closed flood 3000
hello "afterwards a session works"
exec 5>&-
