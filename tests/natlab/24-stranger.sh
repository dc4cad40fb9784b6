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
meets anna bert
