#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The tryst authors
#
# Reloads of a real daemon, by signal and by trystctl: all of a configuration or nothing of it, with
# a peer that stays connected. What the service manager is told is in natlab/70-service.sh.
# shellcheck source-path=SCRIPTDIR source=daemon-lib.sh
. "$(dirname "$0")/daemon-lib.sh" || exit 1
conf=$TMP/trystd.conf

# value OPTION VALUE: this is in force
value() {
    run 0 config "$1"
    grep -qE "^$1 +$2 " "$TMP/out" || fail "$1 is not $2: $(tail -n 1 "$TMP/out")"
}

# logged COUNT REGEXP: so many such lines or more, in time
logged() {
    local try
    for ((try = 0; try < 1200; try++)); do
        [ "$(grep -cE -e "$2" "$log")" -lt "$1" ] || return 0
        sleep 0.05
    done
    fail "the log does not say '$2' $1 times"
}

# configured LINE...: the file, without what a random port needs
configured() {
    printf '%s\n' 'registration = open' "$@" >"$conf"
}

# ---- a peer, and ten reloads ----

configured 'rounds = 2' 'include = {"trystd.conf.d/*.conf"}'
mkdir "$TMP/trystd.conf.d"
start_daemon -c "$conf"
url=$(ctl url) || fail "no url"
for peer in a b; do
    TRYST_HOME=$TMP/$peer timeout 60 "$TRYST" -q join "$url" >/dev/null 2>"$TMP/err" ||
        fail "$peer cannot join"
done
TRYST_HOME=$TMP/a "$TRYST" listen --name home --allow all --exec cat </dev/null 2>"$TMP/err" &
logged 1 "registered .* as home from 127.0.0.1:[0-9]+, listening"
since() {
    run 0 --json peers home
    grep -o '"since":"[^"]*"' "$TMP/out"
}
before=$(since)
[ -n "$before" ] || fail "the peer is not there"
for i in 1 2 3 4 5; do
    echo "rounds = $((i + 2))" >"$TMP/trystd.conf.d/$i.conf"
    kill -HUP $daemon
    logged "$((2 * i - 1))" "reloaded the configuration"
    value rounds $((i + 2))
    echo "syn-budget = $((i + 10))" >>"$TMP/trystd.conf.d/$i.conf"
    says "^syn-budget = $((i + 10)), was " reload
    value syn-budget $((i + 10))
done
check "a peer stays connected through ten reloads" test "$(since)" = "$before"
says "rounds +7 +5 +$TMP/trystd.conf.d/5.conf:1 +reload$" config --changed
says "read again; nothing has changed" reload

# ---- a mistake ----

echo 'rounds = 99' >"$TMP/trystd.conf.d/5.conf"
echo 'probe = no' >>"$conf"
run 3 reload
check "a mistake is told with its place, and status 3" grep -qF \
    "trystd.conf.d/5.conf:1: option 'rounds': 99 is out of range; 1 to 10 would be right" \
    "$TMP/err"
logged 1 "error: not reloaded, the configuration stays as it was: .*5.conf:1: "
kill -HUP $daemon
logged 2 "error: not reloaded, the configuration stays as it was: .*5.conf:1: "
value rounds 7
value probe yes
check "and nothing has changed" test "$(since)" = "$before"

# ---- what needs a restart ----

rm "$TMP"/trystd.conf.d/*
configured 'rounds = 2' 'metrics-listen = "127.0.0.1:1"' 'handshake-threads = 3'
says "restart needed for: metrics-listen, handshake-threads" reload
logged 1 "warning: changed options that need a restart: metrics-listen, handshake-threads"
says "^restart +needed for changed options: metrics-listen, handshake-threads$" status
says "^handshake-threads +0 .*restart: 3$" config handshake-threads
value rounds 2
configured 'rounds = 2' 'metrics-listen = "127.0.0.1:1"'
says "restart needed for: metrics-listen$" reload
configured 'rounds = 2'
run 0 reload
run 0 status
check "taken back, it needs none" test -z "$(grep '^restart' "$TMP/out")"

# ---- the log ----

ctl log-level error >/dev/null
configured 'log-format = json' 'log-addresses = short'
run 0 reload
says "^info$" log-level
answer=$(echo hello | TRYST_HOME=$TMP/b timeout 60 "$TRYST" -q connect home)
check "a session under the new configuration" test "$answer" = hello
logged 1 '"message":"registered .* from 127\.0\.0\.0/24"'
logged 1 '"message":"session [0-9a-f]{32}: .* -> home: connected over IPv4 after 1 round, '
logged 1 '"session":"[0-9a-f]{32}",.*"target":"home","outcome":"connected","reason":"ok","family":4,"rounds":1,"ms":[0-9.]+,"chance":[01]'
configured 'log-format = plain' 'log-addresses = none'
run 0 reload
before=$(grep -c . "$log")
TRYST_HOME=$TMP/b timeout 60 "$TRYST" -q connect home </dev/null >/dev/null 2>&1
logged 1 "registered .* from \(hidden\)"
check "no address is logged where none is wanted" \
    test -z "$(tail -n +$((before + 1)) "$log" | grep -v admin | grep -F 127.0.0)"

# ---- many at once, and the end ----

asked=()
for i in 1 2 3 4 5 6 7 8; do
    ctl reload >/dev/null &
    asked+=($!)
    kill -HUP $daemon
done
for pid in "${asked[@]}"; do
    wait "$pid" || fail "a reload of many at once is not answered"
done
echo "ok - each of many reloads at once is answered"
kill -HUP $daemon
kill -TERM $daemon
wait $daemon
check "a reload under way does not hinder the end" test $? -eq 0
daemon=
