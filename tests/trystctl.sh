#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The tryst authors
#
# trystctl against a real daemon on the loopback: what it prints where, and how it ends.
# shellcheck source-path=SCRIPTDIR source=daemon-lib.sh
. "$(dirname "$0")/daemon-lib.sh" || exit 1

# terminal COLUMNS ARGUMENT...: as a person sees it
terminal() {
    local columns=$1
    shift
    COLUMNS=$columns TERM=xterm script -qec "'$TRYSTCTL' --admin-socket '$socket' $*" /dev/null |
        tr -d '\r' >"$TMP/out"
}

widest() {
    sed 's/\x1b\[[0-9]*m//g' "$TMP/out" |
        awk '{ if (length($0) > n) n = length($0) } END { print n + 0 }'
}

# ---- without a daemon ----

complains 1 "which command"
complains 1 "did you mean 'status'" statsu
complains 1 "did you mean 'sessions'" sesions
complains 1 "unknown command" frobnicate
complains 1 "did you mean --failed" sessions --fialed
complains 1 "one word too many" peers a b
complains 1 "number from 1" sessions --limit none
complains 1 "needs" session
complains 1 "no option" --jsn status
complains 2 "systemctl start trystd" status
says "^usage: trystctl" --help
says "^  --since" sessions --help
says "^trystctl [0-9]" --version
: >"$socket"
complains 2 "$socket" status
rm -f "$socket"

# ---- with one ----

start_daemon --registration open

says "^warning +registration is open" status
says "^peers +0 connected" status
says '^\{"schema":1,"ok":true,' --json status
says '^\{"schema":1,"ok":true,' status --json
check "an answer is one line" test "$(wc -l <"$TMP/out")" -eq 1
says "^tryst://[A-Za-z0-9_=-]*@127.0.0.1:[0-9]+$" url
run 0 peers
check "an empty list prints nothing into a pipe" test ! -s "$TMP/out"
complains 3 "no peer is known" peers nobody
run 3 --json peers nobody
check "an error, too, is JSON" grep -q '^{"schema":1,"ok":false,"error":' "$TMP/out"
complains 3 "no session" session abcd
complains 3 "nothing is known" nats 192.0.2.1
complains 3 "no length of time" invite --ttl soon
complains 3 "is no level" log-level loud
says "^debug$" log-level debug
says "^info$" log-level info
says "^tryst://.*" invite --name guest --ttl 1h
token=$(sed 's/.*#//' "$TMP/out")
check "the invite's token is not logged" test "$(grep -cF -e "$token" "$TMP/log")" -eq 0
key=$(printf 'trystctl-test-key-of-32-bytes-ok' | base64)
run 0 allow "$key"
run 0 deny "$key"
complains 3 "key" allow x/y

# A reader that has seen enough is no error, a full disk is one.
check "a closed pipe" bash -c "'$TRYSTCTL' --admin-socket '$socket' --help | head -n 1 >/dev/null"
if [ -w /dev/full ]; then
    ctl status >/dev/full 2>/dev/null
    check "a full disk is told by the exit status" test $? -ne 0
fi

# ---- with sessions ----

export TRYST_HOME=$TMP/a
url=$(ctl url)
"$TRYST" -q join "$url" || fail "join"
TRYST_HOME=$TMP/b "$TRYST" -q join "$url" || fail "join"
"$TRYST" listen --name home --allow "$(TRYST_HOME=$TMP/b "$TRYST" id)" --exec cat >/dev/null 2>&1 &
listener=$!
for ((i = 0; i < 200; i++)); do
    ! ctl peers home 2>/dev/null | grep -q yes || break
    sleep 0.05
done
answer=$(echo hello | TRYST_HOME=$TMP/b timeout 60 "$TRYST" -q connect home)
check "two peers meet" test "$answer" = hello
TRYST_HOME=$TMP/b timeout 60 "$TRYST" -q connect nobody 2>/dev/null

says "^home  [A-Za-z0-9+/]{43}= +127.0.0.1:" peers
says "^home " peers --all
for ((i = 0; i < 100; i++)); do
    says "ID +STARTED" sessions >/dev/null
    ! grep -q connected "$TMP/out" || break
    sleep 0.05
done
says "^[0-9a-f]{32} +20[0-9-]+T[0-9:.]+Z .* home +connected +IPv4" sessions
id=$(awk '/connected/ { print $1; exit }' "$TMP/out")
says "Session $id" session "${id:0:10}"
for text in "asked for home" "They connected after" "The requester" "no NAT" \
    "Round 1, stated chance" "punch time was" "What happened"; do
    check "the story says: $text" grep -qF "$text" "$TMP/out"
done
says '"plan":\{"rounds":\[\{"round":1,' --json session "$id"
says "^NAT 127.0.0.1" nats 127.0.0.1
says "Round 1" session "$id"
check "the story has both sides' reports" test "$(grep -c "reports: connected" "$TMP/out")" -ge 1
says "no NAT: public and local" nats 127.0.0.1
says "connected" sessions --since 1h --peer home --limit 5
run 0 sessions --until 2020-01-01
check "no sessions before there were any" test ! -s "$TMP/out"
run 0 sessions --active

if command -v script >/dev/null; then
    terminal 60 sessions
    check "a table fits 60 columns" test "$(widest)" -le 60
    check "ids are short on a terminal" grep -q "${id:0:8}  " "$TMP/out"
    check "times are relative on a terminal" grep -qE "just now|[0-9]+ s ago" "$TMP/out"
    check "and it has colours" grep -q $'\x1b\[32mconnected' "$TMP/out"
    terminal 60 peers
    check "so do the peers" test "$(widest)" -le 60
    terminal 60 nats 127.0.0.1
    check "and a history" test "$(widest)" -le 75 # the plot is as wide as the ring
    terminal 60 session "$id"
    check "the story fits 60 columns" test "$(widest)" -le 60
    NO_COLOR=1 terminal 100 sessions
    check "no colours with NO_COLOR" test "$(grep -c $'\x1b' "$TMP/out")" -eq 0
fi

# ---- completion ----

# completed WORD...: what bash offers for the last word
completed() {
    (
        # shellcheck source-path=SCRIPTDIR source=../server/trystctl.bash
        . "$abs_top_srcdir/server/trystctl.bash"
        COMP_WORDS=("$TRYSTCTL" --admin-socket "$socket" "$@")
        COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
        _trystctl
        echo "${COMPREPLY[*]}"
    )
}
check "commands are completed" test "$(completed sess)" = "sessions session"
check "options are completed" test "$(completed sessions --fa)" = "--failed"
check "peers are completed" test "$(completed kick h)" = "home"
check "peers are completed for --peer" test "$(completed sessions --peer h)" = "home"
check "sessions are completed" test "$(completed session "${id:0:4}")" = "$id"
check "levels are completed" test "$(completed log-level w)" = "warning"

# ---- a peer that is not there ----

kill "$listener"
wait "$listener" 2>/dev/null
listener=
for ((i = 0; i < 200; i++)); do
    ctl peers 2>/dev/null | grep -q '^home ' || break
    sleep 0.05
done
TRYST_HOME=$TMP/b timeout 60 "$TRYST" -q connect home 2>/dev/null
check "its caller hears that it is offline" test $? -eq 3
for ((i = 0; i < 100; i++)); do
    run 0 sessions --reason peer-offline
    [ ! -s "$TMP/out" ] || break
    sleep 0.05
done
offline=$(awk '/peer-offline/ { print $1; exit }' "$TMP/out")
says "It failed at once: the peer is not connected" session "$offline"
check "the operator is told what to ask next" grep -q "trystctl peers home" "$TMP/out"
says "^peer-offline +1 " stats

# ---- by hand ----

if command -v socat >/dev/null; then
    check "words by hand" bash -c "echo 'peers --limit 1' | socat - 'UNIX-CONNECT:$socket' |
        grep -q '^{\"schema\":1,\"ok\":true,\"peers\":\[{'"
fi

kill "$daemon"
wait "$daemon"
check "the daemon ends with status 0" test $? -eq 0
daemon=
check "and takes its socket away" test ! -e "$socket"
complains 2 "no trystd answers" status
