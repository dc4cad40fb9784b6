#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The tryst authors
#
# Clocks that have nothing in common: one peer's monotonic clock is ten days ahead. The punch must
# hit the moment all the same, where a skew beyond the delay between the NATs would fail.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh" || exit 1

unshare --time --monotonic 864000 true 2>/dev/null || skip "no time namespaces"
lab_pair linux-rst linux-rst

for i in 1 2 3; do
    : >"$LAB/log/bert.listen"
    spawn bert env TRYST_HOME="$LAB/home/bert" \
        unshare --time --monotonic 864000 --boottime 864000 --fork --kill-child \
        "$TRYST" listen --once --name bert --allow all --exec cat 2>"$LAB/log/bert.listen"
    listener=$!
    peer_listens bert || fail "bert does not listen"
    syn_mark anna bert
    "$LABTOOL" send 1 50000 | peer anna connect -v bert 2>"$LAB/log/anna.connect" |
        "$LABTOOL" check 1 50000
    same "ten days apart, and they meet ($i)" "0 0 0" "${PIPESTATUS[*]}"
    check "without a SYN sent again" syn_quiet anna bert
    wait $listener
    recorded "established, with a skew below 10 ms" \
        '.state == "connected" and .skew_us < 10000 and .skew_us > -10000'
done
