#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The tryst authors
#
# NATs that answer stray SYNs, and whose mappings die of such an answer, where ports are not kept.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh" || exit 1

lab_pair linux-rst "counter --refusal rst"
lab_site third counter --delay 20 --refusal icmp --icmp-kills-mapping yes --seed 2
lab_site fourth preserve --delay 20 --refusal icmp --icmp-kills-mapping yes --seed 3
lab_site fifth counter --delay 20 --refusal rst --seed 4
lab_host third carl
lab_host fourth dora
lab_host fifth emil
for peer in carl dora emil; do
    peer_join $peer $peer
done
for pair in "anna bert" "anna carl" "dora carl" "bert emil" "carl emil"; do
    # shellcheck disable=SC2086 # two words
    talk $pair 20000
    recorded "connected" '.state == "connected"'
done
