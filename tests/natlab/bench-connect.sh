#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The tryst authors
#
# How long `tryst connect` takes to a peer that is registered already, beside what physics allows:
#
#   bench-connect.sh [RUNS [KIND/KIND...]]      (30 runs; pairs of Linux NATs)
#
# Every access link of a peer has 20 ms one way, the server's has none. The bound is what no
# rendezvous can beat: the request goes up, the signal goes down to the other peer, a SYN crosses
# from NAT to NAT, and the peers prove themselves to each other in one round trip. What a new
# process adds on top (its control channel, TCP's own handshake) shows in the stages.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh" || exit 1

runs=${1:-30}
shift
pairs=("$@")
[ ${#pairs[@]} -gt 0 ] || pairs=(linux-drop/linux-drop linux-rst/linux-rst
    linux-rst/linux-drop linux-drop/linux-rst public/linux-drop)
ms=20
bound=$((ms + ms + 2 * ms + 2 * 2 * ms))
stages=(registered requested prepared planned punched opened proven)

# median JQ-EXPRESSION: over the reports of one pair, in milliseconds with one digit
median() {
    jq -s -r "map($1 | select(. != null)) | sort | if length == 0 then \"-\" else
        (.[(length - 1) / 2 | floor] + .[length / 2 | floor]) / 200 | round / 10 end" "$LAB/reports"
}

# one_pair SITE-A SITE-B NUMBER
one_pair() {
    local a=a$3 b=b$3 i good=0
    lab_site "home$3" "$1" --delay $ms
    lab_site "away$3" "$2" --delay $ms
    lab_host "home$3" "$a"
    lab_host "away$3" "$b"
    peer_join "$a" "$a"
    peer_join "$b" "$b"
    peer_listen "$b" --exec cat
    : >"$LAB/reports"
    syn_mark "$a" "$b"
    for ((i = 0; i < runs; i++)); do
        peer "$a" connect --report "$LAB/report" "$b" </dev/null >/dev/null 2>"$LAB/log/$a" ||
            continue
        cat "$LAB/report" >>"$LAB/reports"
        good=$((good + 1))
    done
    print_row "$1/$2" "$good"
    peer_stop "$b"
}

ratio() {
    jq -n "$1 / $bound * 100 | round / 100"
}

print_row() {
    local stage total asked resent=0 host
    total=$(median .times_us.proven)
    asked=$(median '(.times_us.proven - .times_us.requested)')
    for host in "$a" "$b"; do
        resent=$((resent + $(tcp_counter "$host" TCPSynRetrans) - SYN_MARK[$host]))
    done
    printf '%-24s %5s %8s' "$1" "$2/$runs" "$total"
    for stage in "${stages[@]}"; do
        printf ' %10s' "$(median ".times_us.$stage")"
    done
    printf ' %8s %11s %6s\n' "$bound" "$(ratio "$total")/$(ratio "$asked")" "$resent"
}

lab_server 0
server_start
cat <<END
tryst connect: $ms ms one way on each peer's access link, $runs runs a pair; medians in ms since the
program's start. The ratio's second figure counts from the moment the request is sent.
Bound: request up $ms, signal down $ms, one way across $((2 * ms)), one peer handshake (a round trip)
$((4 * ms)): $bound ms.

END
printf '%-24s %5s %8s' pair ok total
printf ' %10s' "${stages[@]}"
printf ' %8s %11s %6s\n' bound ratio resent
number=0
for pair in "${pairs[@]}"; do
    number=$((number + 1))
    one_pair "${pair%/*}" "${pair#*/}" $number
done
