#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The tryst authors
#
# One cell of the matrix, in a laboratory of its own:
#
#   matrix-cell.sh KIND KIND RUNS SEED RESULTS     (matrix-kinds.sh explains the kinds)
#
# Adds a JSON line to the file RESULTS for each run: a new `tryst connect` to a `tryst listen` on
# the other side, the sides taking turns. The first run is a first contact; where runs take hundreds
# of ports, all of them are, each behind NATs with new public addresses.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh" || exit 1
# shellcheck source=matrix-kinds.sh
. "$LAB_SOURCE/matrix-kinds.sh"
lab_need ss

kinds=("$1" "$2")
runs=$3
seed=$4
results=$5
LAB_NAME=matrix-${1//\//_}-$2
ms=20
hosts=(anna bert)
sites=(home away)
birthday=()
fresh=no

# ---- the two sites ----

# one_site INDEX OPTION...
one_site() {
    local words=() kind
    kind=${kinds[$1]}
    read -ra words <<<"$(kind_site "$kind")" || fail "no such kind: $kind"
    [ ${#words[@]} -gt 0 ] || fail "no such kind: $kind"
    ! kind_is_natbox "$kind" || words+=(--seed $((seed + $1)))
    lab_site "${sites[$1]}" "${words[0]}" --delay $ms "${@:2}" "${words[@]:1}"
}

two_sites() {
    local options=()
    case " ${kinds[*]} " in
    *" v6-firewall "*) options=(--v6) ;;
    esac
    one_site 0 "${options[@]}"
    one_site 1 "${options[@]}"
    lab_host home anna
    lab_host away bert
}

# Both hosts behind one NAT.
one_nat() {
    one_site 1
    lab_host away anna
    lab_host away bert
}

# Both homes behind one carrier's NAT.
one_carrier() {
    one_site 1 --carrier
    lab_site first linux-drop --behind away
    lab_site second linux-drop --behind away
    lab_host first anna
    lab_host second bert
}

# new_line INDEX RUN: for a fresh run. A carrier's line is what changes, not the home's.
new_line() {
    local site=${sites[$1]}
    [ "${kinds[$1]}" != cgn-double ] || site+=-cgn
    lab_site_renew "$site" 203.0.113.$((64 * ($1 + 1) + $2)) "${hosts[$1]}" \
        --seed $((seed + 1000 * $2 + $1))
}

# ---- peers: a listener and a requester on each host ----

# url_for INDEX: the server as this side reaches it
url_for() {
    local url
    url=$(ctl url)
    [ "${kinds[$1]}" != v6-firewall ] || url=${url/@$SERVER_V4:/@[$SERVER_V6]:}
    echo "$url"
}

# settled HOST...: no socket of a session is left, only what goes to the server, and what has ended
settled() {
    local host
    for host; do
        ! on "$host" ss -Htna | awk '$1 != "TIME-WAIT" { print $5 }' |
            grep -qvE "^($SERVER_V4|$SERVER_V4_SECOND|\\[$SERVER_V6\\]):" || return 1
    done
}

# listener INDEX NAME
listener() {
    peer_join "$2" "${hosts[$1]}" "$(url_for "$1")"
    peer_listen "$2" --exec cat "${birthday[@]}"
}

# ---- one run ----

# held SITE: the most mappings that a host had at once (natbox)
held() {
    local log=$LAB/log/nat-$1.log
    kill -USR1 "${NATBOX_PID[r-$1]}"
    lab_line "$log" ' stats ' || fail "natbox of $1 says nothing"
    sed -n 's/.* host addr=.* peak=\([0-9]*\)/\1/p' "$log" | sort -n | tail -n 1
}

# blocks: for each side [most mappings at once, ports of the block], or null
blocks() {
    local i size list=()
    for i in 0 1; do
        size=$(kind_block "${kinds[i]}")
        if [ "$size" = 0 ]; then list+=(null); else list+=("[$(held "${sites[i]}"),$size]"); fi
    done
    echo "[${list[0]},${list[1]}]"
}

# newest: the last session's id. A refusal does not tell the requester its number.
newest() {
    ctl --json sessions --limit 1 | jq -r '.sessions[0].id // empty'
}

# session_told ID: both sides' results are there, or the session is over without
session_told() {
    ctl --json session "$1" >"$LAB/session.json" 2>/dev/null &&
        [ "$(jq '.sessions[0].finished != null' "$LAB/session.json")" = true ]
}

# connect INDEX REQUESTER LISTENER: leaves $LAB/report.json, session.json, and `status`, `wall_us`
connect() {
    local begin id before
    before=$(newest)
    echo '{}' >"$LAB/report.json"
    echo '{}' >"$LAB/session.json"
    syn_mark "${hosts[@]}"
    begin=${EPOCHREALTIME/./}
    peer "$2" connect --report "$LAB/report.json" "${birthday[@]}" "$3" \
        </dev/null >/dev/null 2>"$LAB/log/$2.connect"
    status=$?
    wall_us=$((${EPOCHREALTIME/./} - begin))
    closed=false
    if lab_until 10 settled "${hosts[@]}"; then closed=true; fi
    id=$(newest)
    [ "$id" = "$before" ] || lab_until 10 session_told "$id" ||
        note "run $run: no end of session $id"
}

# resent HOST: SYNs sent again since connect began
resent() {
    echo $(($(tcp_counter "$1" TCPSynRetrans) - SYN_MARK[$1]))
}

# record INDEX: a line of results. The sides are in the order of the cell's name.
record() {
    jq -n -c --arg cell "${kinds[0]}/${kinds[1]}" --argjson run "$run" --argjson requester "$1" \
        --argjson cold "$cold" --argjson status "$status" --argjson wall_us "$wall_us" \
        --argjson closed "$closed" --argjson resent "[$(resent anna),$(resent bert)]" \
        --argjson blocks "$(blocks)" \
        --slurpfile report "$LAB/report.json" --slurpfile session "$LAB/session.json" '
        ($report[0] // {}) as $r | ($session[0].sessions[0] // {}) as $s |
        [$s.requester, $s.target] | (if $requester == 1 then reverse else . end) as $sides |
        {cell: $cell, run: $run, requester: $requester, cold: $cold, status: $status,
         ok: ($status == 0 and $r.ok == true), reason: $r.reason, family: $r.family,
         chance: $r.chance, rounds: $r.rounds,
         planned: [($s.plan.rounds // [])[].chance],
         syns: ($sides | map(.syns)), resent: $resent, skew_us: $s.skew_us,
         wall_us: $wall_us, times_us: $r.times_us, took_us: $s.took_us,
         accepted_us: $s.accepted_us, prepared_us: $s.prepared_us,
         nats: ($sides | map(.nat.summary)), closed: $closed, blocks: $blocks}' >>"$results"
}

# fresh_run: everything new but the hosts
fresh_run() {
    local side=$((run % 2)) i
    cold=true
    for i in 0 1; do
        new_line $i "$run"
    done
    listener $((1 - side)) "listener$run"
    peer_join "requester$run" "${hosts[side]}" "$(url_for $side)"
    connect $side "requester$run" "listener$run"
    record $side
    peer_stop "listener$run"
}

warm_run() {
    local side=$((run % 2))
    cold=false
    [ "$run" -gt 0 ] || cold=true
    connect $side "requester$side" "listener$((1 - side))"
    record $side
}

warm_cell() {
    local i
    for i in 0 1; do
        peer_join requester$i "${hosts[i]}" "$(url_for $i)"
        listener $i listener$i
    done
    for ((run = 0; run < runs; run++)); do
        warm_run
    done
    peer_stop listener0
    peer_stop listener1
}

# ---- the cell ----

: >"$results"
lab_server 0
case ${kinds[0]} in
hosts) one_nat ;;
homes) one_carrier ;;
*) two_sites ;;
esac
server_start
if cell_is_fresh "${kinds[@]}"; then
    fresh=yes
    birthday=(--birthday)
    [ "$runs" -le 60 ] || fail "60 runs with new public addresses are the most"
fi
if [ $fresh = no ] || [ "${kinds[0]}" = hosts ] || [ "${kinds[0]}" = homes ]; then
    warm_cell
else
    for ((run = 0; run < runs; run++)); do
        fresh_run
    done
fi
