#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The tryst authors
#
# Random ports in a block of 512 that belongs to the subscriber: birthday inside the block, and
# never more than half of the block in use at once.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh" || exit 1

# held SITE: the most mappings that a host had at once
held() {
    kill -USR1 "${NATBOX_PID[r-$1]}"
    lab_line "$LAB/log/nat-$1.log" ' stats ' || fail "natbox of $1 says nothing"
    sed -n 's/.* host addr=.* peak=\([0-9]*\)/\1/p' "$LAB/log/nat-$1.log" | tail -n 1
}

TALK_BOTH=(--birthday)
lab_pair linux-drop block
lab_site third linux-rst --delay 20
lab_host third carl
peer_join carl carl
talk anna bert 20000
recorded "connected, the ports in a block" \
    '.state == "connected" and .target.nat.allocation == "block"'
talk bert carl 20000
recorded "connected" '.state == "connected"'
note "$(held away) of 512 ports were in use at once"
check "at most half of the block" [ "$(held away)" -le 256 ]
