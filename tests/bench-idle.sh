#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The tryst authors
#
# What an idle peer costs a real trystd: memory of the process and of the kernel, processor time to
# come in, bytes on disk. "make bench-idle" runs it; trystd(7) and its figures come from here.
#   PEERS  how many, 5000 by default; each takes a descriptor here and there
#   SHARE  how many of them share an address, 1 by default
# shellcheck source-path=SCRIPTDIR source=daemon-lib.sh
. "$(dirname "$0")/daemon-lib.sh" || exit 1
patience=300
: "${PEERS:=5000}" "${SHARE:=1}"

# ---- what is measured ----

# kB of the daemon's own memory
resident() {
    awk '$1 == "RssAnon:" { print $2 }' /proc/$daemon/status
}

# ticks of the processor that the daemon has had
ticks() {
    awk '{ print $14 + $15 }' /proc/$daemon/stat
}

# Bytes of kernel objects: of one cache, or of all. Only root may read it.
slab() {
    awk -v cache="${1-}" 'NR > 2 && (!cache || $1 == cache) { n += $3 * $4 } END { printf "%d\n", n }' \
        /proc/slabinfo 2>/dev/null || echo 0
}

sockets() {
    awk '$1 == "TCP:" { print $3 }' /proc/net/sockstat
}

# 4 KiB pages in all queues
queued() {
    awk '$1 == "TCP:" { print $11 }' /proc/net/sockstat
}

disk() {
    stat -c %s "$TMP/state/tryst.db"
}

take() {
    rss=$(resident) cpu=$(ticks) tcp=$(slab TCP) all=$(slab) socks=$(sockets) queue=$(queued)
}

per_peer() {
    awk -v n="$1" -v peers="$PEERS" 'BEGIN { printf "%.0f", n / peers }'
}

ulimit -n "$(ulimit -Hn)"
start_daemon --registration open
take
rss0=$rss cpu0=$cpu tcp0=$tcp all0=$all socket0=$socks queue0=$queue
"$abs_top_builddir/tests/crowd" idle "$(ctl url)" "$PEERS" "$SHARE" >"$TMP/ready" &
until_true grep -q back "$TMP/ready" || fail "the peers do not come in"
take
held=$(ctl --json status | sed 's/.*"peers":\([0-9]*\).*/\1/')
[ "$held" = "$PEERS" ] || fail "$held of $PEERS peers are connected"

hertz=$(getconf CLK_TCK)
echo "$PEERS idle peers, $SHARE to an address, $(uname -r), $(nproc) processors:"
echo "trystd          $(per_peer $(((rss - rss0) * 1024))) bytes per peer ($rss kB in all, $rss0 before)"
# Both ends of a connection are here, so half of the kernel's memory is the daemon's.
echo "kernel, sockets $(per_peer $(((tcp - tcp0) / 2))) bytes per peer in the TCP cache"
echo "kernel, all     $(per_peer $(((all - all0) / 2))) bytes per peer in all caches"
echo "kernel, queues  $((queue - queue0)) pages for $((socks - socket0)) sockets"
echo "processor       $(per_peer $(((cpu - cpu0) * 1000000 / hertz))) us per peer to come in"
ctl status | grep -E '^(connections|loop)'

# The database as it lies when all is in it; empty, it has some 100 kB.
end_daemon || fail "trystd does not end well"
echo "disk            $(per_peer "$(disk)") bytes per peer"
