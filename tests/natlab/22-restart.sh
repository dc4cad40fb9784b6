#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The tryst authors
#
# The server comes and goes: killed, peers find it again, what was acknowledged is still there, a
# session in flight is recorded as aborted, and connections between peers do not notice.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh" || exit 1

peer_is_back() {
    ctl --json peers | jq -e "any(.peers[]; .name == \"$1\" and .listening)" >/dev/null
}

one_active() {
    [ "$(ctl --json sessions --active | jq '.sessions | length')" = 1 ]
}

lab_pair linux-drop linux-rst
url=$(ctl url)
peer_listen bert --exec cat

# A connection that stands while the server is killed.
mkfifo "$LAB/to"
exec 7<>"$LAB/to"
peer_spawn anna connect bert <"$LAB/to" >"$LAB/from" 2>"$LAB/log/anna.standing"
standing=$!
echo before >&7
check "a connection stands" lab_line "$LAB/from" before

server_kill
echo meanwhile >&7
check "it carries bytes without the server" lab_line "$LAB/from" meanwhile
server_start
same "the server has its key again" "$url" "$(ctl url)"
check "the listener comes back by itself" lab_until 30 peer_is_back bert
echo after >&7
check "the connection has not noticed" lab_line "$LAB/from" after
exec 7>&-
check "and ends well" lab_exit 0 $standing
same "the session from before the kill is recorded" '"connected"' "$(sessions '.[-1].state')"

# A session in flight: the invited peer does not answer, then the server dies.
kill -STOP "${PEER_PID[bert]}"
peer_spawn anna connect bert </dev/null >"$LAB/nothing" 2>"$LAB/log/anna.inflight"
inflight=$!
check "a session is under way" lab_until 10 one_active
sleep 0.1 # past the group commit (20 ms): it is on disk
server_kill
server_start
kill -CONT "${PEER_PID[bert]}"
lab_until 60 lab_gone $inflight || fail "tryst connect hangs"
wait $inflight
same "the requester learns that the server is lost" 2 $?
same "the session is recorded as aborted" '["aborted"]' \
    "$(ctl --json sessions | jq -c '[.sessions[] | select(.state != "connected") | .reason.name]')"

check "the listener comes back again" lab_until 30 peer_is_back bert
server_stop
ok "SIGTERM: the server ends with status 0"
server_start
check "the listener is back after that too" lab_until 30 peer_is_back bert
peer_stop bert
meets anna bert
