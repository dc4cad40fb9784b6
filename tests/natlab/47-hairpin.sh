#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The tryst authors
#
# One NAT for both peers. Two hosts of one home meet by their private addresses, whether the NAT
# hairpins or not; two homes behind one carrier do by its hairpin.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh" || exit 1

lab_pair "preserve --hairpin yes" preserve
lab_host home anton
lab_host away berta
lab_site carrier eim --delay 20 --carrier --hairpin yes
lab_site first linux-drop --behind carrier
lab_site second linux-drop --behind carrier
lab_host first carl
lab_host second dora
for peer in anton berta carl dora; do
    peer_join $peer $peer
done
for pair in "anna anton" "bert berta" "carl dora"; do
    # shellcheck disable=SC2086 # two words
    talk $pair 20000
    recorded "connected" '.state == "connected"'
done
