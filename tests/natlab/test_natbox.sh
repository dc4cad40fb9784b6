#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The tryst authors
#
# Every knob of natbox, proven with plain sockets:
#
#   host 192.168.1.2, .3, .7 -- lan0 router wan0 -- core 198.51.100.1, .2
#                               natbox on tun0
#
# Needs root or user namespaces; exits 77 where neither is possible, except
# under CI, where that is a failure.

# shellcheck disable=SC2317 # the tests are called by name
# shellcheck disable=SC2001 # a regular expression, not a pattern
set -u
here=$(cd "$(dirname "$0")" && pwd)
NATBOX=${NATBOX:-${builddir:-.}/natbox}
NATBOX_PROBE=${NATBOX_PROBE:-${builddir:-.}/natbox_probe}

skip() {
    echo "skip - $1"
    [ -n "${CI:-}" ] && exit 1
    exit 77
}

if [ -z "${NATBOX_TEST_INSIDE:-}" ]; then
    export NATBOX_TEST_INSIDE=1
    spaces=(--net --mount --pid --fork --kill-child)
    [ "$(id -u)" = 0 ] || spaces=(--user --map-root-user "${spaces[@]}")
    unshare "${spaces[@]}" true 2>/dev/null || skip "no namespaces here"
    { : <>/dev/net/tun; } 2>/dev/null || skip "no access to /dev/net/tun"
    exec unshare "${spaces[@]}" bash "$here/${0##*/}"
fi

# ---- the little world --------------------------------------------------

mount -t tmpfs none /run || skip "cannot mount in a namespace"
dir=/run/natbox-test
log=$dir/log
mkdir "$dir"
# Sanitizers look their own process up; without this it is somebody else's.
mount -t proc proc /proc 2>/dev/null || :

build_world() {
    local ns
    for ns in host router core; do
        ip netns add "$ns" || return 1
        ip -n "$ns" link set lo up
    done
    ip -n router link add lan0 type veth peer name eth0 netns host
    ip -n router link add wan0 type veth peer name eth0 netns core
    # The core forwards, else the kernel sends no ICMP for it.
    for ns in host router core; do
        ip netns exec "$ns" sh -c '
            echo 0 >/proc/sys/net/ipv4/icmp_ratelimit
            echo 1 >/proc/sys/net/ipv4/ip_forward' || return 1
    done
    # shellcheck disable=SC2016
    ip netns exec router sh -c '
        echo 1 >/proc/sys/net/ipv6/conf/all/forwarding
        for f in all default lan0 wan0; do
            echo 0 >/proc/sys/net/ipv4/conf/$f/rp_filter
        done' || return 1
    # No duplicate address detection: addresses work at once.
    for ns in host router core; do
        # shellcheck disable=SC2016
        ip netns exec "$ns" sh -c 'for f in /proc/sys/net/ipv6/conf/*/; do
            echo 0 >"$f/accept_dad"; done'
    done
    for ns in 2 3 7; do
        ip -n host address add 192.168.1.$ns/24 dev eth0
    done
    ip -n router address add 192.168.1.1/24 dev lan0
    ip -n router address add 192.0.2.2/30 dev wan0
    ip -n core address add 192.0.2.1/30 dev eth0
    ip -n core address add 198.51.100.1/32 dev lo
    ip -n core address add 198.51.100.2/32 dev lo
    ip -n host -6 address add 2001:db8:1::2/64 dev eth0
    ip -n router -6 address add 2001:db8:1::1/64 dev lan0
    ip -n router -6 address add 2001:db8:2::2/64 dev wan0
    ip -n core -6 address add 2001:db8:2::1/64 dev eth0
    ip -n host link set eth0 up
    ip -n router link set lan0 up
    ip -n router link set wan0 up
    ip -n core link set eth0 up
    ip -n host route add default via 192.168.1.1
    ip -n router route add default via 192.0.2.1
    ip -n core route add 203.0.113.0/24 via 192.0.2.2
    ip -n core route add 192.168.1.0/24 via 192.0.2.2
    ip -n core route add unreachable 198.51.100.9/32
    ip -n core route add blackhole 198.51.100.10/32
    ip -n host -6 route add default via 2001:db8:1::1
    ip -n core -6 route add default via 2001:db8:2::2
    for ns in -4 -6; do
        ip "$ns" -n router rule add iif lan0 lookup 100
        ip "$ns" -n router rule add iif wan0 lookup 100
    done
}

mkfifo "$dir/ready.fifo"
exec 8<>"$dir/ready.fifo"
natbox_pid=

stop() {
    local rc=0
    [ -n "$natbox_pid" ] || return 0
    kill -TERM "$natbox_pid" && wait "$natbox_pid"
    rc=$?
    natbox_pid=
    [ "$rc" = 0 ] || not_ok "natbox ended with status $rc"
}

# launch OPTION...: a fresh natbox, and the way through it
launch() {
    stop
    rm -f "$log" "$dir/ready"
    ip netns exec router "$NATBOX" --tun tun0 --log "$log" \
        --ready "$dir/ready" --ready-fd 9 "$@" 9>"$dir/ready.fifo" 8>&- &
    natbox_pid=$!
    read -r -t 5 -u 8 _ || { not_ok "natbox $* does not start"; exit 1; }
    ip -n router route add default dev tun0 table 100
    ip -6 -n router route add default dev tun0 table 100
}

# nat OPTION...: the same, as a NAT with one public address
nat() {
    launch --inside 192.168.1.0/24 --public 203.0.113.1 "$@"
}

failed=0
ok() { echo "ok - $1"; }
not_ok() { echo "not ok - $1"; failed=1; }

S1=198.51.100.1:7001 S2=198.51.100.1:7002 S3=198.51.100.2:7001
A=192.168.1.2 B=192.168.1.3 P=203.0.113.1

probe() {
    "$NATBOX_PROBE" "listen core $S1" "listen core $S2" "listen core $S3" \
        "$@" 2>&1 | tr '\n' ' ' | sed 's/ $//'
}

# same NAME WANT GOT: WANT is a pattern
same() {
    # shellcheck disable=SC2053
    if [[ $3 == $2 ]]; then
        ok "$1"
    else
        not_ok "$1: wanted '$2', got '$3'"
        [ ! -f "$log" ] || sed 's/^/# /' "$log" | tail -n 20
    fi
}

# expect NAME WANT STATEMENT...
expect() {
    local name=$1 want=$2
    shift 2
    same "$name" "$want" "$(probe "$@")"
}

# maps COUNT ADDRESS SERVER [FIRST PORT]: statements for that many mappings
maps() {
    local i
    statements=()
    for ((i = 0; i < $1; i++)); do
        statements+=("map m$2-$i host $2:$((${4:-4000} + i)) $3")
    done
}

count() { grep -c -- "$1" "$log"; }

# The ports of "address:port ..." as words.
ports() { sed 's/[0-9.]*:\([0-9]*\)/\1/g' <<<"$1"; }

# within LOW HIGH NUMBER
within() { [ -n "$3" ] && [ "$3" -ge "$1" ] && [ "$3" -le "$2" ]; }

# between NAME LOW HIGH NUMBER
between() {
    if within "$2" "$3" "$4"; then ok "$1 ($4)"; else
        not_ok "$1: '$4' is not within $2 and $3"; fi
}

# ---- options -----------------------------------------------------------

refused_options() {
    "$NATBOX" "$@" >/dev/null 2>"$dir/err"
    if [ $? != 2 ] || [ ! -s "$dir/err" ]; then
        not_ok "options accepted: $*"
    fi
}

test_options() {
    local box="--tun t --inside 10.0.0.0/8 --public 192.0.2.1"
    "$NATBOX" --help | grep -q -- '--refuse-simultaneous-open' ||
        not_ok "--help"
    refused_options
    refused_options --tun t
    refused_options --nonsense
    # shellcheck disable=SC2086
    for wrong in "--mapping eif" "--filtering" "--ports 5-4" "--wire=1" \
        "--allocation counter:0" "--allocation counter:1:70000" \
        "--allocation block:0" "--allocation block:9-5" "--seed x" \
        "--ports 2000-3000 --allocation counter:1:1999" \
        "--ports 2000-3000 --allocation block:2000" "--hairpin maybe" \
        "--loss-inside 101" "--delay-outside -1" "--delay-inside x" \
        "--public 1.2.3" "--public 1.2.3.4," "--inside 10.0.0.0" \
        "--tun 0123456789abcdef" "--foreign -1" "stray"; do
        refused_options $box $wrong
    done
    ok "wrong options are refused with status 2"
}

# ---- mapping, filtering ------------------------------------------------

test_mapping() {
    local three=("map a host $A:4000 $S1" "map b host $A:4000 $S2"
        "map c host $A:4000 $S3")
    nat --allocation counter:1:40000
    expect "mapping eim (default)" "$P:40000 $P:40000 $P:40000" "${three[@]}"
    nat --mapping adm --allocation counter:1:40000
    expect "mapping adm" "$P:40000 $P:40000 $P:40001" "${three[@]}"
    nat --mapping apdm --allocation counter:1:40000
    expect "mapping apdm" "$P:40000 $P:40001 $P:40002" "${three[@]}"
}

# Admits two strangers: the known address, another port; an unknown address.
test_filtering() {
    local set=("listen host $A:4000" "map a host $A:4000 $S1"
        "dial x core 198.51.100.1:7009 $P:4000")
    local in_x=("wait x 5000" "accept x' $A:4000")
    local y="dial y core 198.51.100.2:7009 $P:4000"
    local in_y=("wait y 5000" "accept y' $A:4000")
    local x_is="open 198.51.100.1:7009" y_is="open 198.51.100.2:7009"
    nat --filtering eif
    expect "filtering eif" "$P:4000 $x_is $y_is" \
        "${set[@]}" "${in_x[@]}" "$y" "${in_y[@]}"
    nat --filtering adf
    expect "filtering adf" "$P:4000 $x_is seen pending" \
        "${set[@]}" "${in_x[@]}" "$y" \
        "await $log 1 why=unsolicited" "wait y 20"
    nat
    expect "filtering apdf (default)" "$P:4000 seen pending pending" \
        "${set[@]}" "$y" "await $log 2 why=unsolicited" \
        "wait x 20" "wait y 20"
    nat
    expect "simultaneous open through apdf" "seen open open" \
        "dial y core 198.51.100.2:7009 $P:4000" \
        "await $log 1 why=unsolicited" \
        "dial x host $A:4000 198.51.100.2:7009" \
        "wait x 5000" "wait y 5000"
    nat --mapping apdm --filtering eif
    expect "a stranger let in by eif is answered from the same port" \
        "$P:4000 open 198.51.100.2:7009 [0-9]*" \
        "listen host $A:4000" "map a host $A:4000 $S1" \
        "$y" "${in_y[@]}" "flow y y' 100000"
}

# ---- allocation --------------------------------------------------------

test_preserve() {
    nat
    expect "allocation preserve, else the next free" "$P:4000 $P:4001 $P:4002" \
        "map a host $A:4000 $S1" "map b host $B:4000 $S1" \
        "map c host $A:4001 $S1"
}

test_offset() {
    nat --allocation offset:1000
    expect "allocation offset:1000" "$P:5000 $P:5070" \
        "map a host $A:4000 $S1" "map b host $A:4070 $S1"
    nat --allocation offset:-70
    expect "allocation offset:-70" "$P:3930" "map a host $A:4000 $S1"
}

test_counter() {
    maps 4 "$A" "$S1"
    nat --allocation counter:2:40000
    expect "allocation counter:2" "$P:40000 $P:40002 $P:40004 $P:40006" \
        "${statements[@]}"
    nat --allocation counter:-3:40000
    expect "allocation counter:-3" "$P:40000 $P:39997 $P:39994 $P:39991" \
        "${statements[@]}"
    nat --allocation counter:1:40001 --ports 40000-40002
    expect "counter wraps in --ports, then is exhausted" \
        "$P:40001 $P:40002 $P:40000 seen" "${statements[@]:0:3}" \
        "dial x host $A:4009 $S1" "await $log 1 exhausted"
    nat --allocation counter:-1:40000 --ports 40000-40002
    expect "negative counter wraps" "$P:40000 $P:40002 $P:40001" \
        "${statements[@]:0:3}"
}

test_random() {
    local got n bad=0
    maps 32 "$A" "$S1"
    nat --allocation random --ports 20000-60000
    got=$(ports "$(probe "${statements[@]}")")
    for n in $got; do within 20000 60000 "$n" || bad=1; done
    n=$(tr ' ' '\n' <<<"$got" | sort -nu | awk 'NR > 1 && $1 - p > 50 { n++ }
        { p = $1 } END { print n, NR, (p > 50000) }')
    read -r wide unique high <<<"$n"
    if [ "$bad" = 0 ] && [ "$unique" = 32 ] && [ "$wide" -ge 24 ] &&
        [ "$high" = 1 ]; then
        ok "allocation random within --ports"
    else
        not_ok "allocation random within --ports: $got"
    fi
}

test_block() {
    local got n bad=0 a b
    maps 8 "$A" "$S1"
    nat --allocation block:50000-50007
    got=$(ports "$(probe "${statements[@]}" "dial x host $A:4100 $S1" \
        "await $log 1 exhausted")")
    n=$(tr ' ' '\n' <<<"${got% seen}" | sort -nu | xargs)
    same "allocation block:LOW-HIGH, used up" \
        "50000 50001 50002 50003 50004 50005 50006 50007 / * seen" \
        "$n / $got"
    [ "$n" != "${got% seen}" ] || not_ok "a block is taken in order"

    nat --allocation block:64 --ports 10000-19999
    statements=()
    for ((n = 0; n < 16; n++)); do
        statements+=("map a$n host $A:$((4000 + n)) $S1"
            "map b$n host $B:$((4000 + n)) $S1")
    done
    got=$(ports "$(probe "${statements[@]}")")
    # shellcheck disable=SC2086
    set -- $got
    a=$((($1 - 10000) / 64)) b=$((($2 - 10000) / 64))
    [ $# = 32 ] && [ "$a" != "$b" ] || bad=1
    while [ $# -ge 2 ]; do
        [ $((($1 - 10000) / 64)) = "$a" ] || bad=1
        [ $((($2 - 10000) / 64)) = "$b" ] || bad=1
        shift 2
    done
    same "allocation block:SIZE, one per inside host" 0 "$bad"
    kill -USR1 "$natbox_pid"
    expect "statistics show each host's mappings and peak" "seen seen" \
        "await $log 2 peak=16" "await $log 1 stats"
}

# Two mappings, and between them the time that the counter had to move:
# bounds of six standard deviations.
test_foreign() {
    local got moved span
    nat --allocation counter:1:2000 --foreign 2000
    got=$(ports "$(probe "map a host $A:4000 $S1" \
        "dial x core 198.51.100.1:7009 $P:1" "wait x 100" \
        "map b host $A:4001 $S1")")
    # shellcheck disable=SC2086
    set -- $got
    moved=$(($3 - $1 - 1))
    span=$(awk '$2 == "map" { if (t) print ($1 - t) * 2000; t = $1 }' "$log")
    awk -v m="$moved" -v x="$span" 'BEGIN { d = m - x; exit \
        !(x > 100 && d * d < 36 * x) }'
    same "foreign allocations move the counter ($moved, expected $span)" 0 $?
}

# ---- refusal -----------------------------------------------------------

test_refusal() {
    local dial="dial x core 198.51.100.2:7009 $P:4444"
    nat
    expect "refusal silence (default)" "seen pending" "$dial" \
        "await $log 1 why=unsolicited" "wait x 20"
    nat --refusal rst
    expect "refusal rst" "rst" "$dial" "wait x 5000"
    nat --refusal icmp
    expect "refusal icmp, from the public address" "icmp/3/3/$P" "$dial" \
        "wait x 5000"
}

# The two SYNs cross on the outside wire, each 30 ms long.
test_simultaneous() {
    local cross=("dial a host $A:4000 198.51.100.2:7009"
        "await $log 1 map" "dial b core 198.51.100.2:7009 $P:4000"
        "wait a 5000" "wait b 5000")
    nat --delay-outside 30 --filtering eif --refuse-simultaneous-open
    expect "refuse-simultaneous-open drops the SYN, not the SYN-ACK" \
        "seen open open seen" "${cross[@]}" \
        "await $log 1 why=simultaneous"
    nat --delay-outside 30
    expect "without it the crossing SYN is admitted" "seen open open" \
        "${cross[@]}"
    same "... and nothing was filtered" 0 "$(count filter)"
}

test_kills() {
    local again=("dial a host $A:4000 198.51.100.2:7007" "wait a 5000"
        "listen core 198.51.100.2:7007"
        "map b host $A:4000 198.51.100.2:7007")
    nat --mapping apdm --allocation counter:1:40000
    expect "rst-kills-mapping yes (default): a new port" "rst $P:40001" \
        "${again[@]}"
    nat --mapping apdm --allocation counter:1:40000 --rst-kills-mapping no
    expect "rst-kills-mapping no: the same port" "rst $P:40000" "${again[@]}"
    nat --allocation counter:1:40000
    expect "a mapping with another flow outlives the RST" \
        "$P:40000 rst $P:40000" "map s host $A:4000 $S1" "${again[@]}"

    again=("dial a host $A:4000 198.51.100.9:7" "wait a 5000"
        "dial b host $A:4000 198.51.100.9:7" "wait b 5000")
    nat --allocation counter:1:40000 --icmp-kills-mapping yes
    expect "ICMP errors reach the inside" \
        "icmp/3/1/192.0.2.1 icmp/3/1/192.0.2.1" "${again[@]}"
    same "icmp-kills-mapping yes: a new port" "2 2" \
        "$(count ' map ') $(count 'unmap why=icmp')"
    nat --allocation counter:1:40000
    probe "${again[@]}" >/dev/null
    same "icmp-kills-mapping no (default): the same port" "1 0" \
        "$(count ' map ') $(count ' unmap ')"
}

# The host forwards to .7, which is gone: it says so from .2.
test_icmp_outwards() {
    nat --filtering eif
    probe "map a host 192.168.1.7:7000 $S1" "listen core 198.51.100.2:9" \
        "map b host 192.168.1.7:7000 198.51.100.2:9" \
        "dial c host 192.168.1.7:7000 198.51.100.10:9" \
        "await $log 1 map" >/dev/null
    ip -n host address del 192.168.1.7/24 dev eth0
    ip -n host route add unreachable 192.168.1.7/32
    ip -n router neigh replace 192.168.1.7 dev lan0 lladdr \
        "$(ip netns exec host cat /sys/class/net/eth0/address)"
    expect "ICMP errors from inside come from the public address" \
        "icmp/3/1/$P" "dial x core 198.51.100.2:7009 $P:7000" \
        "wait x 5000"
    ip -n host route del unreachable 192.168.1.7/32
    ip -n router neigh del 192.168.1.7 dev lan0
    ip -n host address add 192.168.1.7/24 dev eth0
}

# ---- sharing -----------------------------------------------------------

test_overload() {
    local both=("map a host $A:4000 $S1" "map b host $B:4000 $S3"
        "map c host $B:4000 $S1" "flow a a' 10000" "flow b b' 10000"
        "flow c c' 10000")
    nat --overload
    expect "overload: one port for two hosts, two destinations" \
        "$P:4000 $P:4000 $P:4001 [0-9]* [0-9]* [0-9]*" "${both[@]}"
    nat
    expect "no overload: a port for each" \
        "$P:4000 $P:4001 $P:4001 [0-9]* [0-9]* [0-9]*" "${both[@]}"
}

test_hairpin() {
    local pair=("listen host $B:5000" "map b host $B:5000 $S1"
        "dial a host $A:4000 $P:5000")
    nat --hairpin yes --filtering eif
    expect "hairpin yes: the peer's public endpoint is seen" \
        "$P:5000 open $P:4000 [0-9]*" "${pair[@]}" "wait a 5000" \
        "accept a' $B:5000" "flow a' a 100000"
    nat --hairpin yes --refusal rst
    expect "hairpin meets the filter, and its refusal" "$P:5000 rst" \
        "${pair[@]}" "wait a 5000"
    nat --hairpin yes --refusal icmp
    expect "the same with ICMP" "$P:5000 icmp/3/3/$P" "${pair[@]}" \
        "wait a 5000"
    nat --hairpin yes
    expect "both hairpin at once" "seen open open" \
        "dial a host $A:4000 $P:5000" "await $log 1 map" \
        "dial b host $B:5000 $P:4000" "wait a 5000" "wait b 5000"
    nat --filtering eif
    expect "hairpin no (default)" "$P:5000 seen pending" "${pair[@]}" \
        "await $log 1 why=hairpin" "wait a 20"
}

addresses() { sed 's/:[0-9]*//g' <<<"$1" | tr ' ' '\n' | sort -u | xargs; }

test_pooling() {
    local mine other
    launch --inside 192.168.1.0/24 --public 203.0.113.1,203.0.113.2
    maps 8 "$A" "$S1"
    mine=$(addresses "$(probe "${statements[@]}")")
    maps 8 "$B" "$S1"
    other=$(addresses "$(probe "${statements[@]}")")
    same "pooling paired (default)" "203.0.113.1 203.0.113.2" "$mine $other"
    launch --inside 192.168.1.0/24 --public 203.0.113.1,203.0.113.2 \
        --pooling arbitrary
    maps 16 "$A" "$S1"
    same "pooling arbitrary" "203.0.113.1 203.0.113.2" \
        "$(addresses "$(probe "${statements[@]}")")"
}

# ---- the wires ---------------------------------------------------------

# Microseconds that 8 connections took, least first.
took() {
    local i
    statements=()
    for i in 0 1 2 3 4 5 6 7; do
        statements+=("dial t$i host $1:$((4000 + i)) $2"
            "wait t$i 5000" "took t$i")
    done
    probe "listen core [2001:db8:2::1]:7001" "${statements[@]}" |
        sed 's/open//g' | tr -s ' ' '\n' | grep . | sort -n | xargs
}

test_delay() {
    local got
    nat --delay-inside 5 --delay-outside 10.5
    got=$(took "$A" "$S1")
    between "delay-inside + delay-outside, there and back, us" \
        31000 33000 "${got%% *}"
    # The mapping comes when the SYN has crossed the inside wire.
    nat --delay-inside 40
    got=$(probe "dial a host $A:4000 $S1" "await $log 1 map" "dialled a")
    between "the mapping is made after the inside wire, us" 40000 140000 \
        "$(awk -v t="${got##* }" '{ printf "%d", $1 * 1e6 - t; exit }' "$log")"
    nat --delay-outside 2
    expect "a constant delay never reorders" "$P:4000 [0-9]* 0" \
        "map a host $A:4000 $S1" "flow a a' 20000000" "reordered a'"
}

test_jitter() {
    local got
    nat --delay-outside 2 --jitter-outside 20 --seed 7
    got=$(took "$A" "$S1")
    between "jitter-outside: the quickest, us" 4000 24000 "${got%% *}"
    between "jitter-outside: the slowest" 24000 146000 "${got##* }"
    nat --jitter-inside 20 --seed 7
    got=$(took "$A" "$S1")
    between "jitter-inside: the slowest, us" 20000 142000 "${got##* }"
}

test_loss() {
    local got
    nat --loss-inside 100
    expect "loss-inside 100: the NAT never sees it" "seen pending" \
        "dial a host $A:4000 $S1" "await $log 1 where=inside" "wait a 20"
    same "... and maps nothing" 0 "$(count ' map ')"
    nat --loss-outside 100
    expect "loss-outside 100: mapped, then lost" "seen seen pending" \
        "dial a host $A:4000 $S1" "await $log 1 map" \
        "await $log 1 where=outside" "wait a 20"
    launch --wire --loss-outside 30
    got=$(probe "datagrams host $A:5000 core 198.51.100.1:5000 1000")
    between "loss-outside 30, of 1000 datagrams arrive" 610 790 "$got"
    same "... and the log has the others" 1000 \
        "$((got + $(count where=outside)))"
}

test_wire() {
    local got
    launch --wire --delay-outside 10
    expect "wire translates nothing" "$A:4000" "map a host $A:4000 $S1"
    got=$(took "[2001:db8:1::2]" "[2001:db8:2::1]:7001")
    between "wire delays IPv6 there and back, us" 20000 22000 "${got%% *}"
    launch --wire --inside 192.168.1.0/24 --delay-inside 5 --delay-outside 5
    got=$(took "$A" "$S1")
    between "wire with --inside has both wires, us" 20000 22000 "${got%% *}"
}

# ---- time --------------------------------------------------------------

test_timeouts() {
    nat --timeout-transitory 0.15 --timeout-established 0.6
    expect "established outlives transitory, then expires" \
        "$P:4000 seen [0-9]* seen" "map a host $A:4000 $S1" \
        "dial x host $A:4001 198.51.100.10:9" \
        "await $log 1 why=expired" "flow a a' 100" \
        "await $log 2 why=expired"
    awk '$2 == "map" { t[$3] = $1 }
        $2 == "unmap" { after[substr($4, length($4))] = $1 - t[$4] }
        END { exit !(after[1] >= 0.15 && after[1] < 0.5 &&
            after[0] >= 0.6 && after[0] < 3) }' "$log"
    same "... each after its own time" 0 $?
}

# ---- checksums ---------------------------------------------------------

# Between virtual devices the kernel never computes a checksum. Make the
# router complete what natbox rewrote, then the ends compute and check all.
test_checksums() {
    local both=("map a host $A:4000 $S1" "flow a a' 1000000"
        "flow a' a 1000000")
    nat --allocation offset:777
    expect "partial checksums are rewritten right" \
        "$P:4777 [0-9]* [0-9]*" "checksums router lan0 off" \
        "checksums router wan0 off" "${both[@]}"
    nat --allocation offset:777
    expect "complete checksums are updated right" \
        "$P:4777 [0-9]* [0-9]*" "checksums host eth0 off" \
        "checksums core eth0 off" "${both[@]}"
    probe "checksums host eth0 on" "checksums core eth0 on" \
        "checksums router lan0 on" "checksums router wan0 on"
}

# ---- hostile input, load ----------------------------------------------

test_hostile() {
    local ip="45000028000000004006000" src=c0a80102 dst=c6336401
    local tcp="0fa01b59000000000000000050020200" raw=() i
    # A fragment; a TCP header beyond the end; one that is cut off; one
    # too short; SYN with RST and FIN; port 0; UDP; an ICMP error about
    # next to nothing; one about half a header.
    raw+=("45000028000020004006000$((0))$src$dst${tcp}00000000")
    raw+=("${ip}0$src${dst}0fa01b590000000000000000f002020000000000")
    raw+=("4500001e0000000040060000$src${dst}0fa01b59000000000000")
    raw+=("${ip}0$src${dst}0fa01b5900000000000000001002020000000000")
    raw+=("${ip}0$src${dst}0fa01b5900000000000000005007020000000000")
    raw+=("${ip}0$src${dst}00001b5900000000000000005002020000000000")
    raw+=("4500001c0000000040110000$src${dst}0fa01b5900080000")
    raw+=("4500001c0000000040010000$src${dst}0303fcfc00000000")
    raw+=("450000260000000040010000$src${dst}0303b7f70000000045000028000000004006")
    statements=()
    for i in "${raw[@]}"; do statements+=("raw host $i"); done
    nat
    expect "hostile packets are dropped, and nothing else" \
        "seen $P:4000" "${statements[@]}" \
        "await $log ${#raw[@]} drop" "map a host $A:4000 $S1"
    same "... fragments by name" 1 "$(count why=fragment)"
    same "... malformed ones too" 7 "$(count why=malformed)"
}

test_load() {
    local got
    nat --mapping apdm --allocation random
    # A flood overflows some queue; the same SYNs again change nothing.
    for got in {1..50}; do
        [ "$(count ' map ')" -lt 30000 ] || break
        probe "flood host $A 198.51.100.10:9 30000"
    done
    expect "30000 mappings" "seen" "await $log 30000 map"
    expect "... and still room for one more" "$P:*" "map a host $A:900 $S1"
    kill -USR1 "$natbox_pid"
    expect "... all counted" "seen" "await $log 1 peak=30001"
    nat
    got=$(probe "map a host $A:4000 $S1" "flow a a' 268435456")
    same "256 MiB arrive intact (${got##* } Mbit/s)" "* [0-9]*" "$got"
    nat --delay-outside 5 --loss-outside 0.1
    expect "and 4 MiB through a lossy wire" "* [0-9]*" \
        "map a host $A:4000 $S1" "flow a a' 4194304"
}

build_world || skip "cannot build network namespaces"
test_options
for t in mapping filtering preserve offset counter random block foreign \
    refusal simultaneous kills icmp_outwards overload hairpin pooling \
    delay jitter loss wire timeouts checksums hostile load; do
    "test_$t"
done
[ -e "$dir/ready" ] || not_ok "--ready"
stop
grep -q stats "$log" || not_ok "statistics at the end"
exit $failed
