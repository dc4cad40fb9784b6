#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The tryst authors
#
# A NAT that counts: a new public port for every destination, one step further each time. The
# server has to foresee it, for any step, against Linux NATs of both sorts.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh" || exit 1

lab_pair linux-drop "counter --allocation counter:1"
lab_site third "counter" --delay 20 --allocation counter:-3
lab_host third carl
lab_site fourth "counter" --delay 20 --allocation counter:7
lab_host fourth dora
lab_site fifth linux-rst --delay 20
lab_host fifth emil
for peer in carl dora emil; do
    peer_join $peer $peer
done

for peer in bert carl dora; do
    meets anna $peer
    meets $peer anna
    meets emil $peer
    meets $peer emil
done
