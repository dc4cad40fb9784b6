#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The tryst authors
#
# What `tryst check` says behind several NATs, in words and as JSON; and of a peer, before anything
# is tried: no SYN goes from one site to the other, and the server has no session of it.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh" || exit 1

lab_pair linux-drop linux-rst
lab_site dice random --delay 20
lab_site dice2 random --delay 20
lab_site count counter --delay 20 --allocation counter:3
lab_site slice block --delay 20
lab_site six linux-drop --delay 20 --v6
lab_site free public --delay 20
for site in dice dice2 count slice six free; do
    lab_host $site h-$site
    peer_join $site h-$site
done

# ---- one NAT against kinds of peers ----

# explains PEER REGEX...: check succeeds, and says all of these
explains() {
    local peer=$1 regex
    shift
    peer "$peer" check >"$LAB/log/$peer.check" 2>&1 || fail "$peer: check (status $?)"
    for regex; do
        grep -qE -e "$regex" "$LAB/log/$peer.check" || {
            sed 's/^/# | /' "$LAB/log/$peer.check"
            fail "$peer: check does not say /$regex/"
        }
    done
    ok "$peer: check says $*"
}

# tells PEER JQ-FILTER: holds for the JSON
tells() {
    peer "$1" check --json >"$LAB/json" || fail "$1: check --json (status $?)"
    [ "$(jq -r "$2" "$LAB/json")" = true ] || {
        jq . "$LAB/json" | sed 's/^/# | /'
        fail "$1: not so: $2"
    }
    ok "$1: $2"
}

# shellcheck disable=SC2016 # jq's own variable
chance='def chance($k): .prospects[] | select(.kind == $k) | .chance;'

explains anna "^Your NAT, seen at $(site_address home) \(IPv4\)" \
    "public port +the number of the local" "mapping +one for all destinations" \
    "stray SYNs +dropped" "confidence +[0-9]+ %, from [0-9]+ obs" \
    "a host without NAT .* (sure|likely)$" \
    "random ports, strict filter .* with --birthday on both" \
    "that of the first round; a session has up to 5"
check "plain where it is no terminal" \
    sh -c "! grep -q '$(printf '\033')' $LAB/log/anna.check"
tells anna "$chance (.ok and .peer_key == null and (.nats | length) == 1) and
    (.nats[0] | .mapping == \"eim\" and .allocation == \"preserve\" and .refusal == \"silence\") and
    chance(\"home\") > 0.75 and chance(\"counter\") > 0.75 and chance(\"block\") > 0.75 and
    chance(\"random\") < 0.2"
tells bert '.nats[0].refusal == "rst"'
tells dice "$chance .nats[0].allocation == \"random\" and chance(\"random\") == 0 and
    (.prospects[] | select(.kind == \"random\") | .reason) == \"both-random\""
explains dice "public port +drawn at random" "random ports, strict filter +0 % +no" \
    "^no: both NATs give unpredictable ports" "What helps: forward a port"
tells count "$chance .nats[0].allocation == \"counter\" and .nats[0].delta == 3 and
    chance(\"home\") > 0.75"
explains count "counted: the last one \+3"
tells slice "$chance .nats[0].allocation == \"block\" and chance(\"home\") > 0.75 and
    chance(\"block\") < 0.75"
explains slice "drawn at random from [0-9]+ to [0-9]+"
explains free "^Your host, seen at $(host_address h-free)" "translation +none"
tells six "$chance (.nats | map(.family)) == [4, 6] and chance(\"v6-firewall\") > 0.5"
same "-q says nothing" "" "$(peer anna check -q 2>&1)"

# ---- one peer ----

# What goes from site to site passes the core; nothing of it may be a SYN.
on core nft -f - <<'END' || fail "nft in core"
table ip watch {
    counter syns { }
    chain forward {
        type filter hook forward priority 0;
        ip saddr 203.0.113.0/24 ip daddr 203.0.113.0/24 tcp flags & (syn | ack) == syn \
            counter name syns
    }
}
END

no_syns() {
    [ "$(on core nft --json list counters | jq '[.nftables[].counter? | values][0].packets')" = 0 ]
}

# foretells STATUS REGEX A B [OPTION...]: what A's check of B prints, and its exit status
foretells() {
    local wanted=$1 regex=$2 status
    peer "$3" check "${@:5}" "$4" >"$LAB/stdout" 2>"$LAB/log/$3.check"
    status=$?
    if [ $status -ne "$wanted" ] || ! grep -qE -e "$regex" "$LAB/stdout"; then
        sed 's/^/# | /' "$LAB/stdout" "$LAB/log/$3.check"
        fail "$3 checks $4: wanted status $wanted and /$regex/, got status $status"
    fi
    ok "$3 checks $4, status $status: $(head -n 1 "$LAB/stdout" | cut -c 1-160)"
}

peer_listen bert -v
peer_listen dice2
sure='is (likely|as good as sure) \([0-9]+ % in the first of 5 rounds, IPv4\)'
foretells 0 "^bert: a direct connection $sure\$" anna bert
check "with both NATs" grep -qE "there +.*resets stray SYNs" "$LAB/stdout"
check "the peer says so with -v" \
    lab_line "$LAB/log/bert.listen" "asked what a connection would come to"
key=$(peer_key bert)
foretells 0 "\"peer_key\":\"${key//+/[+]}\".*\"level\":\"(likely|sure)\"" anna bert --json
foretells 4 "^dice2: no direct connection: both NATs give unpredictable ports" dice dice2
check "with what would help" \
    grep -q "What helps: forward a port on one side, or use IPv6" "$LAB/stdout"
foretells 4 '"ok":true.*"reason":"both-random"' dice dice2 --json
foretells 0 "^dice2: a direct connection is unlikely" anna dice2
check "which consent of both would change" \
    grep -qE "What helps: --birthday on both sides \([0-9]+ %\)" "$LAB/stdout"
check "nobody sent a SYN to a peer" no_syns
same "no session is recorded" 0 "$(sessions length)"

complains 3 "knows no peer" peer anna check nobody
foretells 3 '"ok":false,"code":30,"reason":"peer-unknown"' anna nobody --json
peer_stop dice2
complains 3 "not connected to the server" peer anna check "$(peer_key dice2)"

# Nothing is told before the peer's own policy has said yes.
peer_spawn dice2 listen --name dice2 --allow "$(peer_key dice)" 2>"$LAB/log/dice2.listen"
peer_listens dice2 || fail "dice2 does not listen"
complains 3 "does not accept connections from this key" peer anna check dice2
same "and nothing of its NAT is told" "" "$(cat "$LAB/stdout")"
foretells 4 "^dice2: no direct connection" dice dice2
check "nobody sent a SYN to a peer" no_syns

# The refusal of connect is as quick: before any SYN, with the reason and what would help.
complains 4 "both NATs give unpredictable ports: no direct TCP connection is possible" \
    peer dice connect dice2
check "with what would help" grep -q "forward a port on one side, or use IPv6" "$LAB/stderr"
check "nobody sent a SYN to a peer" no_syns

# The watch itself works: a connection is seen.
peer anna connect bert </dev/null >/dev/null 2>"$LAB/log/anna.connect"
no_syns && fail "the watch sees no SYN of a real connection"
ok "a connection does send SYNs"

server_stop
complains 2 "cannot be reached" peer anna check
complains 2 "cannot be reached" peer anna check bert
