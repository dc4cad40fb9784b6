#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The tryst authors
#
# Random ports on both sides behind strict filters: said at once, with the reason, the advice and an
# exit status for scripts, and not a single SYN is sent.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh" || exit 1

lab_pair random "random --seed 2"
peer_listen bert --exec cat
for birthday in "" --birthday; do
    # shellcheck disable=SC2086 # a word or none
    complains 4 "both NATs give unpredictable ports.*" \
        peer anna connect $birthday --report "$LAB/report.json" bert
    same "the report's reason" both-random "$(jq -r .reason "$LAB/report.json")"
    same "the advice" true "$(jq '.text | test("forward a port")' "$LAB/report.json")"
    recorded "refused, without a round" '.state == "failed" and .reason.name == "both-random" and
        .rounds == 0 and .requester.syns == 0 and .target.syns == 0'
done
peer_stop bert
