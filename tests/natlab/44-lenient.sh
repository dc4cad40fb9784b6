#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The tryst authors
#
# Random ports, but one side's filter is lenient: whoever finds the mapping gets in.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh" || exit 1

TALK_BOTH=(--birthday)
lab_pair random "random --filtering eif --seed 2"
lab_site third random --delay 20 --filtering adf --seed 3
lab_host third carl
peer_join carl carl
for pair in "anna bert" "bert anna" "carl anna"; do
    # shellcheck disable=SC2086 # two words
    talk $pair 20000
    recorded "connected" '.state == "connected"'
done
