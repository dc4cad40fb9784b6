#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The tryst authors
#
# Limits of a real daemon on the loopback, each set low and driven over its bound by real
# connections: what is too much is turned away, counted and shown; who is there stays and is served;
# and when it is over, all is as before.
# shellcheck source-path=SCRIPTDIR source=daemon-lib.sh
. "$(dirname "$0")/daemon-lib.sh" || exit 1
patience=30
: "${LABTOOL:=$abs_top_builddir/tests/natlab/labtool}"

on_failure() {
    ctl limits --hit
}

# limit NAME: used, most, hits
limit() {
    ctl limits | awk -v name="$1" '$1 == name { print $2, $3, $4 }'
}

limit_is() {
    [ "$(limit "$1")" = "$2" ]
}

# start LINE...: of a configuration
start() {
    printf '%s\n' "$@" >"$TMP/conf"
    start_daemon -c "$TMP/conf" --registration open
}

end() {
    end_daemon
    rm -rf "$TMP/state" "$TMP"/home-* "$TMP/said"
}

# idle_start COUNT: connections that say nothing, all from 127.0.0.1
idle_start() {
    rm -f "$TMP/ask"
    mkfifo "$TMP/ask"
    exec 5<>"$TMP/ask"
    "$LABTOOL" idle 127.0.0.1 $base "$1" <"$TMP/ask" >"$TMP/said" 2>"$TMP/err" 5<&- &
    idle=$!
    until_true grep -qs "^open $1" "$TMP/said" || fail "the connections are not open"
}

idle_end() {
    kill "$idle"
    wait "$idle" 2>/dev/null
    idle=
    exec 5>&-
}

# join NAME: status of tryst
join() {
    TRYST_HOME=$TMP/home-$1 timeout 60 "$TRYST" -q join "$(ctl url)" 2>"$TMP/err" >&2
}

# ---- connections that say nothing ----

start 'max-handshakes-per-address = 4'
idle_start 10
check "six of ten handshakes are turned away" until_true limit_is handshakes-per-address "- 4 6"
check "four are left" limit_is handshakes "4 16384 0"
check "the operator is told once" \
    test "$(grep -c "warning: limit 'handshakes-per-address'" "$TMP/log")" = 1
idle_end
check "their places are free again" until_true limit_is handshakes "0 16384 0"
check "and then a peer is served" join a
end

start 'max-connections = 16'
check "one address never gets more than half" limit_is connections-per-address "- 8 0"
idle_start 10
check "two of ten connections are turned away" until_true limit_is connections-per-address "- 8 2"
check "the others stay" limit_is connections "8 16 0"
idle_end
check "all is as before" until_true limit_is connections "0 16 0"
end

# ---- registrations and new keys ----

start 'registrations-per-address = 2'
check "a first registration" join a
check "a second one" join b
TRYST_HOME=$TMP/home-c timeout 5 "$TRYST" -q join "$(ctl url)" >/dev/null 2>"$TMP/err" &&
    fail "a third one should not be taken"
check "a third one is not taken" test "$(limit registrations-per-address | cut -d ' ' -f 3)" -ge 1
end

start 'new-keys-per-address = 1'
check "one new key" join a
TRYST_HOME=$TMP/home-b timeout 5 "$TRYST" -q join "$(ctl url)" >/dev/null 2>"$TMP/err" &&
    fail "another new key should not be taken"
check "another one is not taken" test "$(limit new-keys-per-address | cut -d ' ' -f 3)" -ge 1
check "nor kept" limit_is keys "1 4000000 0"
check "the key that is known comes back" join a
end

# ---- requests ----

start 'requests-per-key = 1'
check "two peers" eval 'join a && join b'
TRYST_HOME=$TMP/home-a "$TRYST" listen --name home --allow "$(TRYST_HOME=$TMP/home-b "$TRYST" id)" \
    --exec cat >/dev/null 2>&1 &
online() {
    ctl peers home 2>/dev/null | grep -q yes
}
until_true online || fail "the listener is not there"
said=$(echo hello | TRYST_HOME=$TMP/home-b timeout 60 "$TRYST" -q connect home 2>"$TMP/err")
check "a first request is served" test "$said" = hello
echo hello | TRYST_HOME=$TMP/home-b timeout 60 "$TRYST" connect home >/dev/null 2>"$TMP/err" &&
    fail "a second request should be refused"
check "a second one is refused with the reason" grep -q "limit" "$TMP/err"
check "and counted" limit_is requests-per-key "- 1 1"
said=$(ctl --json limits --hit)
check "only what was hit is shown" test "$(grep -o '"name"' <<<"$said" | wc -l)" = 1
check "the listener has stayed" online
