# shellcheck shell=bash
# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The tryst authors
#
# The little Internet of the laboratory (sourced by lib.sh):
#
#   host -- 192.168.1.0/24 -- router of the site -- [delay] -- core -- [delay] -- server
#                                   or: '-- 100.64.0.0/10 -- carrier -- [delay] -- core
#
# Public addresses are TEST-NETs: 203.0.113.8*n and the seven after it belong to site n,
# 198.51.100.1 and .2 to the server, 192.0.2.0/24 to the routers. All homes use the same private
# network, as homes do. Each namespace has the name of what it stands for; routers are r-SITE,
# delays w-SITE.

declare -A SITE_KIND=() SITE_NUMBER=() SITE_HOSTS=() SITE_V6=() SITE_PREFIX6=() SITE_OPTIONS=()
declare -A SITE_LAN=() NATBOX_PID=()
LAB_SITES=0
SERVER_V4=198.51.100.1
SERVER_V4_SECOND=198.51.100.2
SERVER_V6=2001:db8:5::1
CORE_V4=192.0.2.1
WIRE_V4=192.0.2.2

# on NAMESPACE COMMAND...
on() {
    local ns=$1
    shift
    nsenter --net="/run/netns/$ns" -- "$@"
}

# spawn NAMESPACE COMMAND...: in the background; $! is the command itself, so that signals reach it.
# Descriptors 5 to 7 are the tests' own ends of FIFOs: whoever else has one keeps the FIFO open.
spawn() {
    local ns=$1
    shift
    nsenter --net="/run/netns/$ns" -- "$@" <&0 5>&- 6>&- 7>&- &
}

# set_in NAMESPACE KEY=VALUE...: sysctls under /proc/sys/net
set_in() {
    local ns=$1
    shift
    # shellcheck disable=SC2016 # for the inner shell
    on "$ns" sh -c 'for s; do echo "${s#*=}" >"/proc/sys/net/${s%%=*}" || exit 1; done' sh "$@"
}

# lab_ns NAME host|router 4|46: addresses work at once (no duplicate detection), sources are not
# filtered
lab_ns() {
    local ns=$1 v6=1 settings=()
    [ "$3" = 46 ] && v6=0
    ip netns add "$ns" || fail "no namespace $ns"
    settings=(ipv4/conf/all/rp_filter=0 ipv4/conf/default/rp_filter=0
        ipv6/conf/default/accept_dad=0 ipv6/conf/all/accept_dad=0 ipv6/conf/default/accept_ra=0
        ipv6/conf/default/disable_ipv6="$v6")
    [ "$2" = host ] ||
        settings+=(ipv4/ip_forward=1 ipv6/conf/all/forwarding=1 ipv6/conf/default/forwarding=1)
    set_in "$ns" "${settings[@]}" || fail "sysctls of $ns"
    ip -n "$ns" link set lo up
}

# lab_link NS1 DEVICE1 NS2 DEVICE2: a cable
lab_link() {
    ip link add "$2" netns "$1" type veth peer name "$4" netns "$3" || fail "no cable $1-$3"
    ip -n "$1" link set "$2" up
    ip -n "$3" link set "$4" up
}

lab_pcap() {
    [ "${LAB_PCAP:-}" = 1 ] && command -v tcpdump >/dev/null || return 0
    on "$1" tcpdump -i "$2" -U -n -s 200 -w "$LAB/log/$1-$2.pcap" tcp or icmp or icmp6 2>/dev/null &
    lab_until 5 test -s "$LAB/log/$1-$2.pcap"
}

lab_core() {
    [ -e /run/netns/core ] && return
    lab_ns core router 46
    ip -n core addr add $CORE_V4/32 dev lo
}

# ---- delay: a router that holds every packet for a while ----

lab_need_tun() {
    { : <>/dev/net/tun; } 2>/dev/null ||
        skip "/dev/net/tun cannot be opened (as root: chmod 666 /dev/net/tun)"
    [ -x "$NATBOX" ] || fail "$NATBOX is not built"
}

# lab_natbox NS LOG DEVICE1 DEVICE2 "FAMILY..." OPTION...: what comes in by the two devices goes
# through natbox
lab_natbox() {
    local ns=$1 device family
    lab_need_tun
    for family in $5; do
        for device in "$3" "$4"; do
            ip "$family" -n "$ns" rule add iif "$device" lookup 100
        done
    done
    lab_natbox_start "$ns" "$2" "$5" "${@:6}"
}

# lab_natbox_start NS LOG "FAMILY..." OPTION...
lab_natbox_start() {
    local ns=$1 log=$2 family
    rm -f "$LAB/$ns.ready"
    spawn "$ns" "$NATBOX" --tun nat0 --ready "$LAB/$ns.ready" --log "$LAB/log/$log.log" "${@:4}" \
        2>>"$LAB/log/$log.err"
    NATBOX_PID[$ns]=$!
    lab_until 10 test -e "$LAB/$ns.ready" || fail "natbox in $ns does not start"
    for family in $3; do
        ip "$family" -n "$ns" route add default dev nat0 table 100
    done
}

lab_natbox_stop() {
    kill -TERM "${NATBOX_PID[$1]}"
    lab_exit 0 "${NATBOX_PID[$1]}" 10 || fail "natbox in $1 does not end cleanly"
}

# lab_wire NAME MS NUMBER: namespace w-NAME, a delay between the core and its device down0
lab_wire() {
    local ns=w-$1 at=192.0.2.$((100 + $3))
    lab_ns "$ns" router 46
    lab_link core "$ns" "$ns" up0
    ip -n "$ns" addr add $WIRE_V4/32 dev lo
    ip -n "$ns" addr add "$at/32" dev up0
    ip -n "$ns" route add default via $CORE_V4 dev up0 onlink
    ip -n "$ns" -6 addr add fe80::2/64 dev up0 nodad
    ip -n core -6 addr add fe80::1/64 dev "$ns" nodad
    ip -n "$ns" -6 route add default via fe80::1 dev up0
    ip -n core route add "$at/32" dev "$ns"
    lab_natbox "$ns" "wire-$1" up0 down0 "-4 -6" --wire --delay-outside "$2"
}

# lab_uplink NS DEVICE ADDRESS MS NUMBER [PREFIX...]: connects a router's (or the server's) device
# to the core; the prefixes, and ADDRESS, are reached through it
lab_uplink() {
    local ns=$1 device=$2 address=$3 ms=$4 number=$5 above=core gateway=$CORE_V4 below=$1 prefix
    shift 5
    if [ "$ms" != 0 ]; then
        lab_wire "$ns" "$ms" "$number"
        above=w-$ns gateway=$WIRE_V4 below=down0
    fi
    lab_link "$above" "$below" "$ns" "$device"
    ip -n "$ns" addr add "$address/32" dev "$device"
    ip -n "$ns" route add default via "$gateway" dev "$device" onlink
    lab_route_down "$above" "$below" "$address" "$@"
    if [ "$above" != core ]; then
        for prefix in "$address/32" "$@"; do
            case $prefix in
            *:*) ip -n core -6 route add "$prefix" via fe80::2 dev "w-$ns" ;;
            *) ip -n core route add "$prefix" via "192.0.2.$((100 + number))" dev "w-$ns" onlink ;;
            esac
        done
    fi
    lab_pcap "$ns" "$device"
}

# lab_route_down NS DEVICE ADDRESS PREFIX...: as seen from above; IPv6 by link-local addresses
lab_route_down() {
    local ns=$1 device=$2 address=$3 prefix
    shift 3
    ip -n "$ns" route add "$address/32" dev "$device"
    for prefix; do
        case $prefix in
        *:*)
            ip -n "$ns" -6 addr add fe80::1/64 dev "$device" nodad
            ip -n "$ns" -6 route add "$prefix" via fe80::2 dev "$device"
            ;;
        *) ip -n "$ns" route add "$prefix" via "$address" dev "$device" onlink ;;
        esac
    done
}

# ---- server ----

# lab_server [MS]: the server's host, two IPv4 addresses and one IPv6, behind an access delay
lab_server() {
    lab_core
    lab_ns server host 46
    lab_uplink server eth0 $SERVER_V4 "${1:-0}" 99 $SERVER_V4_SECOND/32 2001:db8:5::/64
    ip -n server addr add $SERVER_V4_SECOND/32 dev eth0
    ip -n server -6 addr add fe80::2/64 dev eth0 nodad
    ip -n server -6 addr add $SERVER_V6/64 dev eth0 nodad
    ip -n server -6 route add default via fe80::1 dev eth0
}

# ---- sites ----

# What Linux routers do with TCP: `masquerade` as told, and an INPUT chain that drops or answers.
lab_linux_nat() {
    local ns=$1 masquerade=$2 input=$3
    on "$ns" nft -f - <<END || fail "nft in $ns"
table ip nat {
    chain post {
        type nat hook postrouting priority srcnat
        oifname "wan0" meta l4proto tcp masquerade $masquerade
        oifname "wan0" masquerade
    }
}
END
    lab_firewall "$ns" "$input"
}

# A stateful firewall for what is forwarded; `input` is what a SYN to the router itself gets:
# accept means RST. Of both families, unless it says ip6.
lab_firewall() {
    on "$1" nft -f - <<END || fail "nft in $1"
table ${3:-inet} filter {
    chain forward {
        type filter hook forward priority filter; policy drop
        ct state established,related accept
        iifname "lan0" accept
    }
    chain input {
        type filter hook input priority filter; policy accept
        iifname "wan0" ct state established,related accept
        iifname "wan0" meta l4proto tcp $2
    }
}
END
}

# natbox's options for the kinds that have a name
lab_natbox_options() {
    case $1 in
    eim) echo --mapping eim --allocation random ;;
    preserve) echo --mapping eim --allocation preserve ;;
    offset) echo --mapping apdm --allocation offset:1000 ;;
    counter) echo --mapping apdm --allocation counter:1 ;;
    adm) echo --mapping adm --allocation random ;;
    block) echo --mapping apdm --allocation block:512 ;;
    random) echo --mapping apdm --allocation random ;;
    natbox) ;;
    *) fail "no such kind of site: $1" ;;
    esac
}

# lab_site NAME KIND [--delay MS] [--far MS] [--v6] [--behind CARRIER] [--carrier]
#          [natbox's options]
#   public              no NAT, no firewall
#   v6-firewall         IPv6 alone, behind a stateful firewall
#   linux-drop          masquerade; the router drops stray SYNs
#   linux-rst           masquerade; the router's stack answers them with RST, as stock routers do
#   linux-random, linux-fully-random   the same flags of masquerade; drop
#   linux-range         masquerade to a range of ports that all destinations share; drop (a carrier)
#   cgn-double          a home's linux-drop behind a carrier's linux-range
#   eim, preserve, offset, counter, adm, block, random, natbox   natbox, and more of its options
# --delay: one way, on the access link; --far: between host and NAT (natbox); --v6: IPv6 beside it;
# --behind: the uplink is the LAN of another site; --carrier: that LAN is shared address space.
lab_site() {
    local name=$1 kind=$2 ms=0 far=0 v6=4 upstream="" number options
    shift 2
    while [ $# -gt 0 ]; do
        case $1 in
        --delay) ms=$2 && shift ;;
        --far) far=$2 && shift ;;
        --v6) v6=46 ;;
        --behind) upstream=$2 && shift ;;
        --carrier) SITE_LAN[$name]=100.64.0 ;;
        *) break ;;
        esac
        shift
    done
    case $kind in
    cgn-double)
        options=()
        [ "$v6" = 4 ] || options=(--v6)
        lab_site "$name-cgn" linux-range --delay "$ms" "${options[@]}"
        lab_site "$name" linux-drop --behind "$name-cgn" "${options[@]}"
        return
        ;;
    v6-firewall) v6=46 ;;
    esac

    number=$((++LAB_SITES))
    SITE_KIND[$name]=$kind SITE_NUMBER[$name]=$number SITE_HOSTS[$name]=0 SITE_V6[$name]=$v6
    SITE_PREFIX6[$name]=$(printf '2001:db8:1%02d::' "$number")
    lab_core
    lab_ns "r-$name" router $v6
    ip -n "r-$name" link add lan0 type bridge
    ip -n "r-$name" link set lan0 up
    ip -n "r-$name" addr add "$(lab_lan "$name").1/24" dev lan0
    [ $v6 = 4 ] || ip -n "r-$name" -6 addr add fe80::1/64 dev lan0 nodad
    lab_site_uplink "$name" "$kind" "$ms" "$upstream"
    lab_site_nat "$name" "$kind" "$ms" "$far" "$@"
}

# The first three numbers of a site's private network. A carrier's own is shared address space.
lab_lan() {
    case ${SITE_KIND[$1]} in
    linux-range) echo 100.64.0 ;;
    *) echo "${SITE_LAN[$1]:-192.168.1}" ;;
    esac
}

# site_address SITE: its first public IPv4 address
site_address() {
    echo 203.0.113.$((8 * SITE_NUMBER[$1]))
}

site_prefix6() {
    echo "${SITE_PREFIX6[$1]}"
}

# lab_delegate6 CARRIER SITE: a /64 of the carrier's /48 becomes the site's
lab_delegate6() {
    local carrier k=${SITE_HOSTS[$1]}
    carrier=$(site_prefix6 "$1")
    SITE_PREFIX6[$2]=${carrier%::}:$k::
    ip -n "r-$1" -6 route add "${SITE_PREFIX6[$2]}/64" via "$carrier$((9 + k))" dev lan0
    ip -n "r-$2" -6 addr add "$(site_prefix6 "$2")1/64" dev lan0 nodad
}

lab_site_uplink() {
    local name=$1 kind=$2 ms=$3 upstream=$4 number=${SITE_NUMBER[$1]} address prefixes=()
    if [ -n "$upstream" ]; then
        lab_join_lan "$upstream" "r-$name" wan0
        [ "${SITE_V6[$name]}" = 4 ] || lab_delegate6 "$upstream" "$name"
        return
    fi
    # natbox's public addresses belong to no interface, the kernel would answer for them.
    case $kind in
    linux-*) address=$(site_address "$name") ;;
    *) address=192.0.2.$((10 + number)) ;;
    esac
    [ "$kind" = v6-firewall ] || prefixes+=("$(site_address "$name")/29")
    [ "${SITE_V6[$name]}" = 4 ] || prefixes+=("$(site_prefix6 "$name")/48")
    case $kind in
    public | v6-firewall | linux-*) ;;
    *) [ "${SITE_V6[$name]}" = 46 ] || ms=0 ;; # natbox delays by itself, but IPv4 alone
    esac
    lab_uplink "r-$name" wan0 "$address" "$ms" "$number" "${prefixes[@]}"
    if [ "${SITE_V6[$name]}" = 46 ]; then
        ip -n "r-$name" -6 addr add fe80::2/64 dev wan0 nodad
        ip -n "r-$name" -6 route add default via fe80::1 dev wan0
        ip -n "r-$name" -6 addr add "$(site_prefix6 "$name")1/64" dev lan0 nodad
    fi
}

lab_site_nat() {
    local name=$1 kind=$2 ms=$3 far=$4 ns=r-$1
    shift 4
    case $kind in
    public) ;;
    v6-firewall) lab_firewall "$ns" drop ;;
    linux-drop) lab_linux_nat "$ns" "" drop ;;
    linux-rst) lab_linux_nat "$ns" "" accept ;;
    linux-random) lab_linux_nat "$ns" random drop ;;
    linux-fully-random) lab_linux_nat "$ns" fully-random drop ;;
    linux-range) lab_linux_nat "$ns" "to :20000-20511" drop ;;
    *)
        [ "${SITE_V6[$name]}" = 4 ] || ms=0
        SITE_OPTIONS[$name]="--inside $(lab_lan "$name").0/24 --delay-outside $ms
            --delay-inside $far $(lab_natbox_options "$kind") $*"
        # shellcheck disable=SC2086 # several words
        lab_natbox "$ns" "nat-$name" lan0 wan0 -4 --public "$(site_address "$name")" \
            ${SITE_OPTIONS[$name]}
        [ "${SITE_V6[$name]}" = 4 ] || lab_firewall "$ns" drop ip6
        ;;
    esac
}

# lab_site_renew SITE ADDRESS [HOST [NATBOX-OPTION...]]: another public address, and no mapping or
# flow left: what a new subscriber's line is. A public site's host is renewed.
lab_site_renew() {
    local name=$1 address=$2 number=${SITE_NUMBER[$1]} above=core device=r-$1 old
    if [ -e "/run/netns/w-r-$name" ]; then
        above=w-r-$name device=down0
        ip -n core route replace "$address/32" via "192.0.2.$((100 + number))" dev "w-r-$name" \
            onlink
    fi
    case ${SITE_KIND[$name]} in
    linux-*) # masquerade forgets an address that is gone
        ip -n "$above" route replace "$address/32" dev "$device"
        old=$(lab_address "r-$name" wan0)
        ip -n "r-$name" addr add "$address/32" dev wan0
        ip -n "r-$name" addr del "$old/32" dev wan0
        ;;
    public)
        ip -n "$above" route replace "$address/32" via "192.0.2.$((10 + number))" dev "$device" \
            onlink
        ip -n "r-$name" route replace "$address/32" dev lan0
        old=$(lab_address "$3" eth0)
        ip -n "$3" addr add "$address/32" dev eth0
        ip -n "$3" addr del "$old/32" dev eth0
        ;;
    v6-firewall) ;;
    *)
        ip -n "$above" route replace "$address/32" via "192.0.2.$((10 + number))" dev "$device" \
            onlink
        lab_natbox_stop "r-$name"
        rm -f "$LAB/log/nat-$name.log"
        # shellcheck disable=SC2086 # several words
        lab_natbox_start "r-$name" "nat-$name" -4 ${SITE_OPTIONS[$name]} "${@:4}" \
            --public "$address"
        ;;
    esac
}

# lab_join_lan SITE NS DEVICE: a cable from the namespace to the site's LAN, with an address there
lab_join_lan() {
    local site=$1 ns=$2 device=$3 k lan address
    k=$((++SITE_HOSTS[$site]))
    lan=$(lab_lan "$site")
    lab_link "r-$site" "port$k" "$ns" "$device"
    ip -n "r-$site" link set "port$k" master lan0
    case ${SITE_KIND[$site]} in
    public)
        address=203.0.113.$((8 * SITE_NUMBER[$site] + k))
        ip -n "$ns" addr add $address/32 dev "$device"
        ip -n "$ns" route add default via "$lan.1" dev "$device" onlink
        ip -n "r-$site" route add $address/32 dev lan0
        ;;
    v6-firewall) ;;
    *)
        ip -n "$ns" addr add "$lan.$((9 + k))/24" dev "$device"
        ip -n "$ns" route add default via "$lan.1"
        ;;
    esac
    [ "${SITE_V6[$site]}" = 46 ] || return 0
    ip -n "$ns" -6 addr add "$(site_prefix6 "$site")$((9 + k))/64" dev "$device" nodad
    ip -n "$ns" -6 route add default via fe80::1 dev "$device"
}

# lab_host SITE NAME
lab_host() {
    lab_ns "$2" host "${SITE_V6[$1]}"
    lab_join_lan "$1" "$2" eth0
    lab_pcap "$2" eth0
}

# lab_address NS DEVICE: its first IPv4 address
lab_address() {
    ip -n "$1" -json -4 addr show dev "$2" | jq -r '.[0].addr_info[0].local'
}

# host_address HOST: its own IPv4 address
host_address() {
    lab_address "$1" eth0
}

# tcp_counter NS NAME: of /proc/net/netstat, e.g. TCPSynRetrans
tcp_counter() {
    # shellcheck disable=SC2016
    on "$1" awk -v name="$2" '$1 == "TcpExt:" {
        if (!seen) { for (i = 2; i <= NF; i++) column[$i] = i; seen = 1 }
        else { print $column[name]; exit }
    }' /proc/net/netstat
}
