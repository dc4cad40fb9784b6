#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The tryst authors
#
# Garbage and half frames on every port: the server drops them, forgets them, and serves others
# meanwhile.
# shellcheck source-path=SCRIPTDIR/natlab source=lib.sh
. "$(dirname "$0")/natlab/lib.sh" || exit 1

descriptors() {
    find "/proc/$SERVER_PID/fd" -mindepth 1 | wc -l
}

# As few as before, once the time for a handshake is over.
as_before() {
    [ "$(descriptors)" -le "$before" ]
}

lab_server 0
lab_site home public
lab_host home anna
lab_host home bert
lab_host home mallory
SERVER_CONFIG=("handshake-timeout = 2s")
server_start
peer_join anna anna
peer_join bert bert
peer_listen bert --exec cat
sleep 1 # a survey may still be under way
before=$(descriptors)

# A whole first handshake message, of the right length and of noise.
forged=006101$(head -c 96 /dev/urandom | od -An -v -tx1 | tr -d ' \n')
throwers=()
for port in 5382 5383 5384; do
    on mallory "$LABTOOL" garbage "$SERVER_V4" $port $port 400 &
    throwers+=($!)
    # A frame of 4112 bytes that never comes; a handshake cut off; an observation cut off; one byte.
    for say in 1010 0061010102030405060708 002b02050102030405060708090a0b0c0d0e0f 00 "$forged"; do
        on mallory "$LABTOOL" idle "$SERVER_V4" $port 50 "$say" >"$LAB/idle" < <(sleep 20) &
    done
done
for i in 1 2 3 4 5; do
    same "meanwhile a session works ($i)" "hello $i" "$(echo "hello $i" | peer anna connect bert)"
done
for pid in "${throwers[@]}"; do
    check "1 of 3 throwers got rid of everything" wait "$pid"
done
check "all of it is gone in the end, $before descriptors are open as before" lab_until 20 as_before
failed=$(ctl --json status | jq .handshakes_failed)
check "the server counted $failed failed handshakes" test "$failed" -gt 0
server_stop
ok "and it ends cleanly"
