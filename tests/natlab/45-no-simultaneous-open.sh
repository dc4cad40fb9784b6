#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The tryst authors
#
# A NAT that drops a SYN which answers its own host's SYN: the other side has to start.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh" || exit 1

lab_pair linux-drop "preserve --refuse-simultaneous-open"
lab_site third linux-rst --delay 20
lab_site fourth counter --delay 20 --refuse-simultaneous-open
lab_host third carl
lab_host fourth dora
for peer in carl dora; do
    peer_join $peer $peer
done
meets anna bert 20000
meets bert carl 20000
meets carl bert 20000
meets dora anna 20000
