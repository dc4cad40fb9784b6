#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The tryst authors
#
# What the server says about a NAT is what that NAT is: one peer behind each kind, which only
# listens, and the server's profile of its address.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh" || exit 1

WORDS='"\(.mapping) \(.filtering) \(.allocation) \(.refusal) \(.pooling) \(.no_simultaneous_open)"'

# nat_of PEER JQ-FILTER: on the profile of the public address that the peer comes from (of IPv6 a
# profile is that of the /64)
nat_of() {
    local at
    at=$(ctl --json peers | jq -r --arg name "$1" '.peers[] | select(.name == $name) | .observed')
    case $at in
    '') return ;;
    \[*) at=${at%%::*} at=${at#\[}:: ;;
    *) at=${at%:*} ;;
    esac
    ctl --json nats | jq -r --arg at "$at" '.nats[] | select(.address == $at) | .nat | '"$2"
}

# shown PEER JQ-FILTER WANTED
shown() {
    [ "$(nat_of "$1" "$2")" = "$3" ]
}

# known PEER WHAT JQ-FILTER WANTED
known() {
    lab_until 20 shown "$1" "$3" "$4" || {
        ctl --json nats | jq -c '.nats[]'
        fail "$2: wanted '$4', got '$(nat_of "$1" "$3")'"
    }
    ok "$2: $4"
}

# site PEER "KIND [OPTION...]": a site, its only host and a peer there, all of one name
site() {
    # shellcheck disable=SC2086 # a kind and its options
    lab_site "$1" ${2%% *} --delay 20 ${2#"${2%% *}"}
    lab_host "$1" "$1"
    peer_join "$1" "$1"
    peer_listen "$1"
}

# survey PEER "KIND [OPTION...]" WANTED: mapping filtering allocation refusal pooling, and whether it
# refuses simultaneous open
survey() {
    site "$1" "$2"
    known "$1" "$2" "$WORDS" "$3"
}

lab_server 0
server_start

# ---- filters, mappings, refusals ----

for filtering in eif adf apdf; do
    survey "eim-$filtering" "eim --filtering $filtering" \
        "eim $filtering random silence paired false"
done
survey counter "counter --filtering adf --refusal rst" "apdm adf counter rst paired false"
survey adm "adm --refusal icmp" "adm apdf random icmp paired false"
survey random "random --filtering eif" "apdm eif random silence paired false"
survey offset offset "apdm apdf offset silence paired false"
survey linux-drop linux-drop "eim apdf preserve silence paired false"
survey linux-rst linux-rst "eim apdf preserve rst paired false"
survey public public "none eif preserve rst paired false"

# ---- simultaneous open ----

survey refuses "preserve --refuse-simultaneous-open" "eim apdf preserve silence paired true"
survey refuses-icmp "eim --refusal icmp --refuse-simultaneous-open" \
    "eim apdf random icmp paired true"
# A NAT far from its host: the SYN must not be at it too early.
survey far "eim --far 80" "eim apdf random silence paired false"

# ---- pools ----

pool=203.0.113.$((8 * (LAB_SITES + 1)))
pool=$pool,${pool%.*}.$((${pool##*.} + 1)),${pool%.*}.$((${pool##*.} + 2))
site pool "preserve --public $pool --pooling arbitrary"
known pool "several addresses, at random" '"\(.mapping) \(.pooling)"' "eim arbitrary"
pool=203.0.113.$((8 * (LAB_SITES + 1)))
pool=$pool,${pool%.*}.$((${pool##*.} + 1)),${pool%.*}.$((${pool##*.} + 2))
survey paired "preserve --public $pool --pooling paired" "eim apdf preserve silence paired false"

# ---- a shared NAT: who was let in speaks for itself ----

# The second host's ports are not forwarded; what the first has shown must not count for it.
lab_site shared linux-drop --delay 20
lab_host shared exposed
on r-shared nft -f - <<END || fail "nft"
table ip nat {
    chain pre {
        type nat hook prerouting priority dstnat
        iifname "wan0" tcp dport 1024-65535 dnat to $(host_address exposed)
    }
}
table inet filter {
    chain forward {
        iifname "wan0" accept
    }
}
END
peer_join exposed exposed
peer_listen exposed
known exposed "a forwarding to one host" .filtering eif
lab_host shared hidden
peer_join hidden hidden
peer_listen hidden
check "what one was let in for does not count for the other" \
    [ "$(ctl --json peers | jq -c '[.peers[] | select(.name == "exposed" or .name == "hidden") |
        {(.name): (.nat.filtering == "eif")}] | add')" = '{"exposed":true,"hidden":false}' ]

# ---- two private networks behind one address ----

if unshare --time --monotonic 864000 true 2>/dev/null; then
    lab_site carrier linux-range --delay 20
    for home in first second; do
        lab_site $home linux-drop --behind carrier
        lab_host $home $home
        peer_join $home $home
    done
    same "two hosts have one private address" "$(host_address first)" "$(host_address second)"
    peer_listen first
    known first "one home behind a carrier shows no second NAT" .double false
    PEER_HOST[second]=second
    : >"$LAB/log/second.listen"
    spawn second env TRYST_HOME="$LAB/home/second" \
        unshare --time --monotonic 864000 --boottime 864000 --fork --kill-child \
        "$TRYST" listen --name second --allow all 2>>"$LAB/log/second.listen"
    peer_listens second || fail "second does not listen"
    known second "two homes do" .double true
else
    note "no time namespaces: nothing about double NAT"
fi

# ---- a firewall without NAT ----

SERVER_HOST=$SERVER_V6
server_stop
rm -rf "${LAB:?}/state"/*
server_start
survey v6 v6-firewall "none apdf preserve silence paired false"

# ---- one server address: EIF looks like ADF, the stricter of the two ----

SERVER_HOST=$SERVER_V4
server_stop
rm -rf "${LAB:?}/state"/*
SERVER_V4_SECOND=
server_start
survey alone "counter --filtering eif" "apdm adf counter silence paired false"
survey alone-strict "counter" "apdm apdf counter silence paired false"
