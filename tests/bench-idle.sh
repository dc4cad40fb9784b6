#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The tryst authors
#
# What an idle peer costs a real trystd: memory of the process and of the kernel, processor time to
# come in, bytes on disk. "make bench-idle" runs it; trystd(7) and its figures come from here.
#   PEERS  how many, 5000 by default; each takes a descriptor here and there
#   SHARE  how many of them share an address, 1 by default
set -eu
export LC_ALL=C
: "${abs_top_builddir:=$(cd "$(dirname "$0")/.." && pwd)/build}"
: "${TRYSTD:=$abs_top_builddir/trystd}" "${TRYSTCTL:=$abs_top_builddir/trystctl}"
: "${BENCH_IDLE:=$abs_top_builddir/tests/bench_idle}" "${PEERS:=5000}" "${SHARE:=1}"
TMP=$(mktemp -d)
daemon='' client=''

stop() {
    [ -z "$client" ] || kill "$client" 2>/dev/null || true
    [ -z "$daemon" ] || kill "$daemon" 2>/dev/null || true
    wait
    rm -rf "$TMP"
}
trap stop EXIT

die() {
    echo "bench-idle: $*" >&2
    [ ! -e "$TMP/log" ] || tail -n 5 "$TMP/log" >&2
    exit 1
}

ctl() {
    "$TRYSTCTL" --admin-socket "$TMP/admin.sock" "$@"
}

start() {
    local base=$((20000 + (RANDOM + $$) % 12000))
    ulimit -n "$(ulimit -Hn)"
    "$TRYSTD" --state-dir "$TMP/state" --admin-socket "$TMP/admin.sock" --listen 127.0.0.1 \
        --port $base --port $((base + 1)) --port $((base + 2)) --public-host 127.0.0.1 \
        --registration open 2>"$TMP/log" &
    daemon=$!
    until ctl status >/dev/null 2>&1; do
        kill -0 $daemon 2>/dev/null || die "trystd does not start"
        sleep 0.05
    done
}

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
    rss=$(resident) cpu=$(ticks) tcp=$(slab TCP) all=$(slab) socket=$(sockets) queue=$(queued)
}

per_peer() {
    awk -v n="$1" -v peers="$PEERS" 'BEGIN { printf "%.0f", n / peers }'
}

start
take
rss0=$rss cpu0=$cpu tcp0=$tcp all0=$all socket0=$socket queue0=$queue
: >"$TMP/ready"
mkfifo "$TMP/hold"
"$BENCH_IDLE" "$(ctl url)" "$PEERS" "$SHARE" <"$TMP/hold" >"$TMP/ready" &
client=$!
exec 3>"$TMP/hold"
until grep -q ready "$TMP/ready"; do
    kill -0 $client 2>/dev/null || die "the peers do not come in"
    sleep 0.1
done
take
held=$(ctl --json status | sed 's/.*"peers":\([0-9]*\).*/\1/')
[ "$held" = "$PEERS" ] || die "$held of $PEERS peers are connected"

hertz=$(getconf CLK_TCK)
echo "$PEERS idle peers, $SHARE to an address, $(uname -r), $(nproc) processors:"
echo "trystd          $(per_peer $(((rss - rss0) * 1024))) bytes per peer ($rss kB in all, $rss0 before)"
# Both ends of a connection are here, so half of the kernel's memory is the daemon's.
echo "kernel, sockets $(per_peer $(((tcp - tcp0) / 2))) bytes per peer in the TCP cache"
echo "kernel, all     $(per_peer $(((all - all0) / 2))) bytes per peer in all caches"
echo "kernel, queues  $((queue - queue0)) pages for $((socket - socket0)) sockets"
echo "processor       $(per_peer $(((cpu - cpu0) * 1000000 / hertz))) us per peer to come in"
ctl status | grep -E '^(connections|loop)'

# The database as it lies when all is in it; empty, it has some 100 kB.
kill $daemon
wait $daemon || die "trystd does not end well"
daemon=''
echo "disk            $(per_peer "$(disk)") bytes per peer"
