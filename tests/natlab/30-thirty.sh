#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The tryst authors
#
# Linux pairs connect every time: 30 of 30 for each combination, never waiting for a SYN to be sent
# again.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh" || exit 1

runs=${LAB_RUNS:-30}

# thirty FROM TO
thirty() {
    local i good=0
    for ((i = 1; i <= runs; i++)); do
        syn_mark "$1" "$2"
        if "$LABTOOL" send $i 1000 | peer "$1" connect -v "$2" 2>"$LAB/log/$1-$2" |
            "$LABTOOL" check $i 1000 && syn_quiet "$1" "$2"; then
            good=$((good + 1))
        else
            note "run $i from $1 to $2:"
            cat "$LAB/log/$1-$2"
            ctl --json sessions | jq -c '.sessions[0]'
        fi
    done
    same "$1 to $2" "$runs of $runs" "$good of $runs"
}

lab_pair linux-drop linux-drop
lab_site third linux-rst --delay 20
lab_site fourth linux-rst --delay 20
lab_host third carl
lab_host fourth dora
peer_join carl carl
peer_join dora dora
peer_listen bert --exec cat
peer_listen dora --exec cat

thirty anna bert # drop, drop
thirty carl dora # RST, RST
thirty anna dora # drop, RST
thirty carl bert # RST, drop
good=$(ctl --json sessions --limit 1000 | jq "[.sessions[] | select(.state == \"connected\")] | length")
same "recorded as connected, all of them" "$((4 * runs))" "$good"
