#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The tryst authors
#
# A mapping for every remote address, ports that count: all SYNs from one local port to one address
# share it. Against a NAT that keeps ports, one that counts, and one of its own kind.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh" || exit 1

lab_pair linux-drop "adm --allocation counter:1"
lab_site third counter --delay 20 --seed 2
lab_site fourth adm --delay 20 --allocation counter:1 --seed 3
lab_site fifth adm --delay 20 --allocation preserve --seed 4
lab_host third carl
lab_host fourth dora
lab_host fifth emil
for peer in carl dora emil; do
    peer_join $peer $peer
done
for pair in "anna bert" "bert carl" "bert dora" "emil bert"; do
    # shellcheck disable=SC2086 # two words
    talk $pair 20000
    recorded "connected" '.state == "connected"'
done
