#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The tryst authors
#
# Both peers behind one NAT that does not hairpin: their private addresses are the way.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh" || exit 1

lab_pair linux-drop linux-rst
lab_host home anton
lab_host away berta
peer_join anton anton
peer_join berta berta
for pair in "anna anton" "anton anna" "bert berta"; do
    # shellcheck disable=SC2086 # two words
    talk $pair
    recorded "established between private addresses" '.state == "connected"'
done
