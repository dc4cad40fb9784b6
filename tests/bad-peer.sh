#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The tryst authors
#
# Peers that are not there, do not want, or are not who they were: a clear message, and the exit
# status that scripts can tell them by.
# shellcheck source-path=SCRIPTDIR/natlab source=lib.sh
. "$(dirname "$0")/natlab/lib.sh" || exit 1

lab_server 0
lab_site home public
lab_site away public
lab_host home anna
lab_host away bert
lab_host away carl
server_start
for peer in anna bert carl; do
    peer_join $peer $peer
done
stranger_key=$(peer carl id)

complains 1 "neither a peer's name nor a key" peer anna connect 'no/such name'
complains 1 "." peer anna connect
complains 3 "knows no peer" peer anna connect nobody
peer anna keygen --home "$LAB/home/other" >"$LAB/other" 2>&1 || fail "keygen"
complains 3 "knows no peer" peer anna connect "$(peer anna id --home "$LAB/home/other")"
complains 3 "own key" peer anna connect "$(peer_key anna)"

peer_listen bert --exec cat
peer_stop bert
complains 3 "not connected to the server" peer anna connect bert
complains 3 "not connected to the server" peer anna connect "$(peer_key bert)"

: >"$LAB/log/bert.listen"
peer_spawn bert listen --name bert --allow "$stranger_key" --exec cat 2>>"$LAB/log/bert.listen"
PEER_PID[bert]=$!
peer_listens bert || fail "bert does not listen"
complains 3 "does not accept connections from this key" peer anna connect bert
recorded "declined" '.state == "failed" and .reason.name == "declined"'
anna_key=$(peer_key anna)
check "the listener says whom it declined" grep -qF "declined $anna_key" "$LAB/log/bert.listen"
same "and still serves the peer that it allows" hello "$(echo hello | peer carl connect bert)"

# A peer that hangs, and one that dies while it is being invited.
peer_listen carl --exec cat
kill -STOP "${PEER_PID[carl]}"
complains 3 "did not answer" peer anna connect --timeout 6 carl
peer_spawn anna connect carl </dev/null 2>"$LAB/log/anna.lost"
lost=$!
one_active() {
    [ "$(ctl --json sessions --active | jq '.sessions | length')" = 1 ]
}
check "a session is under way" lab_until 10 one_active
kill -KILL "${PEER_PID[carl]}"
check "the peer dies: status 3" lab_exit 3 $lost
check "with a message" grep -qE "lost its connection|did not answer" "$LAB/log/anna.lost"

# The name was seen with another key before.
peer anna peers forget bert >/dev/null 2>&1
check "a key can be entered by hand" peer anna peers add bert "$stranger_key"
complains 3 "another key" peer anna connect bert
check "forgotten again" peer anna peers forget bert
check "and it works again" test $? = 0
complains 3 "does not accept" peer anna connect bert
