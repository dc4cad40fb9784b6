#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The tryst authors
#
# A carrier's NAT 80 ms away from its hosts that answers stray SYNs: the SYNs have to leave the NATs
# together, not the hosts.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh" || exit 1

lab_pair linux-drop "eim --far 80 --refusal rst"
lab_site third linux-rst --delay 20
lab_site fourth eim --far 80 --delay 20 --refusal icmp --icmp-kills-mapping yes --seed 2
lab_host third carl
lab_host fourth dora
for peer in carl dora; do
    peer_join $peer $peer
done
for pair in "anna bert" "bert carl" "carl dora" "bert dora"; do
    # shellcheck disable=SC2086 # two words
    talk $pair 20000
    recorded "connected" '.state == "connected"'
done
