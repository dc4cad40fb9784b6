#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The tryst authors
#
# Two NATs that count, in either direction and by other steps than one: each side sends many SYNs to
# one port in the middle of the other's window. Then with other subscribers' traffic on both.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh" || exit 1

lab_pair counter "counter --allocation counter:2 --seed 2"
lab_site third counter --delay 20 --allocation counter:-1 --seed 3
lab_site busy counter --delay 20 --foreign 20 --seed 4
lab_site busier counter --delay 20 --foreign 20 --seed 5
lab_host third carl
lab_host busy dora
lab_host busier emil
for peer in carl dora emil; do
    peer_join $peer $peer
done
meets anna bert
meets bert carl
for pair in "dora emil" "emil dora"; do
    # shellcheck disable=SC2086 # two words
    talk $pair 20000
    recorded "connected" '.state == "connected"'
done
