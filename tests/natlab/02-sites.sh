#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The tryst authors
#
# The laboratory itself, with plain sockets: what each kind of site does to ports and to stray
# SYNs, and that two hosts behind such NATs can meet at all. Every other lab test stands on this
# one.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh" || exit 1

# told HOST LOCAL-PORT ADDRESS PORT: how the server sees a connection from there, "ADDRESS PORT"
told() {
    on "$1" "$LABTOOL" ask "$3" "$4" "$2"
}

knock() {
    on "$1" "$LABTOOL" knock "$2" "$3" 1500
}

teller() {
    on server "$LABTOOL" tell "$1" "$2" >"$LAB/tell-$2-$1" &
    lab_line "$LAB/tell-$2-$1" ready || fail "teller on $1"
}

# ports HOST LOCAL-PORT: its public ports towards two ports of one address, and a second address
ports() {
    local first second third
    first=$(told "$1" "$2" $SERVER_V4 7001)
    second=$(told "$1" "$2" $SERVER_V4 7002)
    third=$(told "$1" "$2" $SERVER_V4_SECOND 7001)
    echo "${first#* } ${second#* } ${third#* }"
}

# keeps SITE HOST: one local port, the same number outside, everywhere
keeps() {
    same "$1 keeps ports" "40001 40001 40001" "$(ports "$2" 40001)"
    same "$1 shows its own address" "$(site_address "$1") 40002" \
        "$(told "$2" 40002 $SERVER_V4 7001)"
}

changes() {
    local a b c
    read -r a b c <<<"$(ports "$2" 40001)"
    check "$1 takes another port for each destination ($a $b $c)" \
        test "$a" -ne "$b" -a "$b" -ne "$c" -a "$a" -ne "$c"
}

refusal() {
    same "a stray SYN to $1 gets $2" "$2" "$(knock server "$(site_address "$1")" 33333)"
}

# meet HOST-A ADDRESS-A HOST-B ADDRESS-B PORT
meet() {
    local other
    on "$1" "$LABTOOL" meet "$4" "$5" "$5" 8000 &
    other=$!
    on "$3" "$LABTOOL" meet "$2" "$5" "$5" 8000 || fail "$3 does not meet $1"
    check "$1 and $3 meet by simultaneous open" wait $other
}

lab_server 0
for address in $SERVER_V4 $SERVER_V4_SECOND; do
    teller "$address" 7001
    teller "$address" 7002
done
teller $SERVER_V6 7001

lab_site pub public
lab_site drop linux-drop --delay 20
lab_site rst linux-rst --delay 20
lab_site rand linux-random
lab_site full linux-fully-random
lab_site cgn cgn-double --delay 5
lab_site six v6-firewall --delay 10
lab_site six2 v6-firewall
lab_site count counter --delay 20
lab_site eim eim
for site in pub drop rst rand full cgn six six2 count eim; do
    lab_host $site "h-$site"
done

keeps drop h-drop
keeps rst h-rst
same "a public host has an address of its own" "$(host_address h-pub) 40001" \
    "$(told h-pub 40001 $SERVER_V4 7001)"
changes rand h-rand
changes full h-full
changes count h-count

read -r a b c <<<"$(ports h-cgn 40001)"
check "the carrier shares one port of its range among destinations ($a $b $c)" \
    test "$a" -eq "$b" -a "$b" -eq "$c" -a "$a" -ge 20000 -a "$a" -le 20511
read -r a b c <<<"$(ports h-eim 40001)"
check "eim has one port, a new one, for all destinations ($a $b $c)" \
    test "$a" -eq "$b" -a "$b" -eq "$c" -a "$a" -ne 40001

refusal drop silence
refusal rst refused
refusal cgn-cgn silence
refusal count silence
same "a stray SYN to a public host gets RST" refused "$(knock server "$(host_address h-pub)" 33333)"
same "IPv6 passes the firewall outwards" "$(site_prefix6 six)10 40001" \
    "$(told h-six 40001 $SERVER_V6 7001)"
same "IPv6 does not pass it inwards" silence "$(knock server "$(site_prefix6 six)10" 40009)"
same "an IPv4-only host has no IPv6" unreachable "$(knock h-drop $SERVER_V6 7001)"

meet h-drop "$(site_address drop)" h-rst "$(site_address rst)" 41001
meet h-pub "$(host_address h-pub)" h-drop "$(site_address drop)" 41002
meet h-six "$(site_prefix6 six)10" h-six2 "$(site_prefix6 six2)10" 41003
