#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The tryst authors
#
# 64 sessions started at once: many to one listener, several from one key, in all directions, and
# every one of them arrives whole.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh" || exit 1

bytes=20000
started=()

# start FROM TO COUNT
start() {
    local i seed
    for ((i = 0; i < $3; i++)); do
        seed=${#started[@]}
        (
            set -o pipefail
            "$LABTOOL" send "$seed" $bytes |
                peer "$1" connect --timeout 60 "$2" 2>"$LAB/log/$1-$2.$seed" |
                "$LABTOOL" check "$seed" $bytes 2>>"$LAB/log/$1-$2.$seed"
        ) &
        started+=("$!:$1-$2.$seed")
    done
}

lab_pair linux-drop linux-rst
lab_site third public --delay 20
lab_host home anton
lab_host away berta
lab_host third carl
for peer in anton berta carl; do
    peer_join $peer $peer
done
for peer in anton bert berta carl; do
    peer_listen $peer --exec cat
done

start anna bert 24
start anton bert 8
start carl bert 8
start anna berta 8
start bert anton 8
start berta carl 8

bad=0
for one in "${started[@]}"; do
    wait "${one%%:*}" && rm -f "$LAB/log/${one#*:}" && continue
    note "session ${one#*:} failed"
    bad=$((bad + 1))
done
same "all of the ${#started[@]} sessions came about, their bytes intact" 0 $bad
all_over() {
    [ "$(sessions 'map(select(.finished != null)) | length')" = ${#started[@]} ]
}
check "the server recorded ${#started[@]} sessions" lab_until 10 all_over
same "each as established" '["connected"]' "$(sessions 'map(.state) | unique')"
same "none is left" 0 "$(ctl --json status | jq .sessions_active)"
