#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The tryst authors
#
# A round that is made to miss: the next one connects within the session, without waiting for the
# first one's retransmissions; nothing stays open, and no session takes more ports than it may.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh" || exit 1

# lose_first ROUTER FROM TO COUNT: the first COUNT packets of new flows from one to the other are lost
lose_first() {
    on "r-$1" nft -f - <<END
table ip lossy {
    chain forward {
        type filter hook forward priority filter - 10
        ip saddr $2 ip daddr $3 tcp flags syn / syn,ack limit rate 1/day burst $4 packets counter drop
    }
}
END
}

lose_none() {
    on "r-$1" nft delete table ip lossy
}

# No SYN under way and no listener on a host.
all_closed() {
    [ -z "$(on "$1" ss -Htan state syn-sent state listening)" ]
}

lab_need ss
lab_pair linux-drop "counter --allocation counter:2"
lab_site third linux-drop --delay 20
lab_host third carl
peer_join carl carl

# The first round's only SYN is lost on its way out, so that the other side's finds no hole.
for peer in carl anna; do
    [ $peer = carl ] && site=third || site=home
    other=$([ $peer = carl ] && echo anna || echo carl)
    target=$([ "$other" = anna ] && echo home || echo third)
    check "the first SYN from $peer is lost" \
        lose_first "$site" "$(host_address $peer)" "$(site_address "$target")" 1
    meets $peer "$other"
    recorded "in the second round" '.rounds == 2'
    check "it was really lost" grep -q "packets 1 " <(on "r-$site" nft list table ip lossy)
    lose_none "$site"
    for host in $peer "$other"; do
        check "nothing is left open at $host" lab_until 10 all_closed "$host"
    done
done

# A whole sweep against a counter is lost; the next round has its own ports, and its own anchors.
check "all of anna's first sweep is lost" \
    lose_first home "$(host_address anna)" "$(site_address away)" 64
talk anna bert
recorded "in a later round" '.rounds >= 2'
lose_none home
for host in anna bert; do
    check "nothing is left open at $host" lab_until 10 all_closed "$host"
done

# Nothing gets through at all: it ends with its reason, within the session's budget.
check "all SYNs from anna to carl are lost" \
    lose_first home "$(host_address anna)" "$(site_address third)" 10000
check "and all from carl to anna" \
    lose_first third "$(host_address carl)" "$(site_address home)" 10000
peer_listen carl --exec cat
peer anna connect -v --timeout 5 carl </dev/null >"$LAB/out.lost" 2>"$LAB/log/anna.lost"
same "no way through: the connection fails" 4 $?
recorded "as missed, after all the rounds" '.reason.name == "missed" and .rounds == 5'
recorded "with a SYN or so a round" '.requester.syns <= 10 and .target.syns <= 10'
peer_stop carl
lose_none home
lose_none third
for host in anna carl; do
    check "nothing is left open at $host" lab_until 10 all_closed "$host"
done

# Two blocks: it may meet or not, but half of a block of 512 is the most that a session takes.
lab_site fifth "block" --delay 20
lab_host fifth emil
lab_site sixth "block" --delay 20
lab_host sixth fritz
peer_join emil emil
peer_join fritz fritz
peer_listen fritz --exec cat
peer emil connect -v --timeout 8 fritz </dev/null >"$LAB/out.block" 2>"$LAB/log/emil.block"
recorded "no more than half of a block" '.requester.syns <= 256 and .target.syns <= 256'
peer_stop fritz
for host in emil fritz; do
    check "nothing is left open at $host" lab_until 10 all_closed "$host"
done
