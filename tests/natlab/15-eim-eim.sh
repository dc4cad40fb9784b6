#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The tryst authors
#
# Endpoint-independent mapping with ports of the NAT's own choice, on both sides: once the NATs are
# known, the control channels' own mappings are punched from, and nothing is observed any more.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh" || exit 1

# Trials of the NATs, which go on beside sessions, are observed too.
SERVER_CONFIG+=("probe = no")
lab_pair eim eim
meets anna bert
meets bert anna

# not_observed BEFORE: nothing since
not_observed() {
    [ "$(observations)" = "$1" ] || {
        note "$(observations) observations, $1 before"
        return 1
    }
}

observations() {
    ctl --json status | jq .observations_total
}

for pair in "anna bert" "bert anna"; do
    before=$(observations)
    # shellcheck disable=SC2086 # two words
    meets $pair
    check "nothing was observed for it" not_observed "$before"
done
