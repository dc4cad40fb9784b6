#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The tryst authors
#
# The predicted port belongs to a stranger: whatever answers there never reaches the application,
# and never gets a byte of it.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh" || exit 1

# All that the target's NAT gets from outside goes to another machine of the home, as with a
# forwarded port or a mapping that somebody else took; the target's own SYNs towards the requester
# are lost.
strangers_home() {
    local mallory
    mallory=$(host_address mallory)
    on r-away nft -f - <<END
table ip stranger {
    chain pre {
        type nat hook prerouting priority dstnat
        iifname "wan0" ip saddr $(site_address home) tcp dport 1024-65535 dnat to $mallory:7777
    }
    chain out {
        type filter hook forward priority filter - 1
        ip saddr $(host_address bert) ip daddr $(site_address home) drop
        iifname "wan0" ip daddr $mallory accept
    }
}
END
    on r-away nft insert rule inet filter forward ct status dnat accept
}

# Only what gets there first goes to the stranger; and the target's own first SYN is lost, since
# the way in would otherwise be its own.
stranger_once() {
    on r-away nft -f - <<END
table ip stranger {
    chain pre {
        type nat hook prerouting priority dstnat
        iifname "wan0" ip saddr $(site_address home) tcp dport 1024-65535 \
            limit rate 1/day burst 1 packets counter dnat to $(host_address mallory):7777
    }
    chain out {
        type filter hook forward priority filter - 1
        ip saddr $(host_address bert) ip daddr $(site_address home) tcp flags syn / syn,ack \
            limit rate 1/day burst 1 packets drop
        iifname "wan0" ip daddr $(host_address mallory) accept
    }
}
END
    on r-away nft insert rule inet filter forward ct status dnat accept
}

lab_pair linux-drop linux-drop
lab_host away mallory
check "the way to the target leads to a stranger" strangers_home
peer_listen bert --exec "echo secret; cat"

for manner in echo banner silence garbage close reset; do
    spawn mallory "$LABTOOL" answer 0.0.0.0 7777 $manner "$LAB/heard.$manner" \
        >"$LAB/mallory.$manner"
    stranger=$!
    lab_line "$LAB/mallory.$manner" ready || fail "the stranger does not listen"
    echo "for bert's eyes" |
        peer anna connect -v --timeout 8 bert >"$LAB/out.$manner" 2>"$LAB/log/anna.$manner"
    same "a stranger that answers with $manner: no connection" 4 $?
    check "nothing of it reached the application" test ! -s "$LAB/out.$manner"
    grep -qa "for bert" "$LAB/heard.$manner" && fail "the stranger read what was meant for bert"
    check "the message says so" \
        grep -qE "another host answered|did not prove itself" "$LAB/log/anna.$manner"
    recorded "and so does the server" '.reason.name == "stranger" or .reason.name == "no-proof"'
    kill $stranger
    wait $stranger 2>/dev/null
done
check "the stranger was really there" test -s "$LAB/heard.echo"

on r-away nft delete table ip stranger
peer_stop bert

# He has the first predicted port alone: the next round goes past him, whether he speaks or not.
for manner in banner silence; do
    spawn mallory "$LABTOOL" answer 0.0.0.0 7777 $manner "$LAB/heard.once.$manner" \
        >"$LAB/mallory.once.$manner"
    stranger=$!
    lab_line "$LAB/mallory.once.$manner" ready || fail "the stranger does not listen"
    check "the first way to the target leads to a stranger" stranger_once
    talk anna bert
    recorded "met in the second round" '.state == "connected" and .rounds == 2'
    check "the stranger was met in the first one" \
        grep -q "packets 1 " <(on r-away nft list table ip stranger)
    on r-away nft delete table ip stranger
    kill $stranger
    wait $stranger 2>/dev/null
done
meets anna bert
