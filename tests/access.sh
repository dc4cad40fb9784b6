#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The tryst authors
#
# Who may register and who is kept out, with real binaries on the loopback: every mode and command,
# and all of it again after kill -9.
set -u
export LC_ALL=C
: "${abs_top_srcdir:=$(cd "$(dirname "$0")/.." && pwd)}"
: "${abs_top_builddir:=$abs_top_srcdir/build}"
: "${TRYST:=$abs_top_builddir/tryst}" "${TRYSTD:=$abs_top_builddir/trystd}"
: "${TRYSTCTL:=$abs_top_builddir/trystctl}"
unset COLUMNS NO_COLOR TERM TRYST_SERVER
TMP=$(mktemp -d) || exit 1
socket=$TMP/admin.sock
daemon=''

stop() {
    [ -z "$daemon" ] || kill -9 "$daemon" 2>/dev/null
    wait
    rm -rf "$TMP"
}
trap stop EXIT

fail() {
    echo "not ok - $*"
    for file in out err log; do
        [ ! -e "$TMP/$file" ] || tail -n 20 "$TMP/$file" | sed "s/^/$file: /"
    done
    exit 1
}

check() {
    local what=$1
    shift
    "$@" || fail "$what (failed: $*)"
    echo "ok - $what"
}

ctl() {
    "$TRYSTCTL" --admin-socket "$socket" "$@" >"$TMP/out" 2>"$TMP/err" </dev/null
}

# says REGEXP ARGUMENT...
says() {
    local text=$1
    shift
    ctl "$@" || fail "trystctl $*: $?"
    grep -qE -e "$text" "$TMP/out" || fail "trystctl $*: no word of '$text'"
    echo "ok - trystctl $*: $text"
}

# complains REGEXP ARGUMENT...
complains() {
    local text=$1 status=0
    shift
    ctl "$@" || status=$?
    [ $status -eq 3 ] || fail "trystctl $*: status $status, not 3"
    grep -qE -e "$text" "$TMP/err" || fail "trystctl $*: no word of '$text'"
    echo "ok - trystctl $*: $text"
}

# start MODE
base=$((20000 + (RANDOM + $$) % 30000))
start() {
    local try
    for try in 1 2 3 4 5 6 7 8 9 10; do
        "$TRYSTD" --state-dir "$TMP/state" --admin-socket "$socket" --listen 127.0.0.1 \
            --port $base --port $((base + 1)) --port $((base + 2)) --public-host 127.0.0.1 \
            --registration "$1" 2>"$TMP/log" &
        daemon=$!
        while kill -0 $daemon 2>/dev/null; do
            ! ctl status || return 0
            sleep 0.05
        done
        [ -e "$TMP/state/key" ] || base=$((20000 + (RANDOM + $$ + try * 97) % 30000))
    done
    daemon=
    fail "trystd does not start"
}

# restart MODE: as after a crash
restart() {
    kill -9 "$daemon"
    wait "$daemon" 2>/dev/null
    start "$1"
}

# peer NAME ARGUMENT...
peer() {
    local home=$TMP/home-$1
    shift
    TRYST_SERVER=${url:-} TRYST_HOME=$home timeout 60 "$TRYST" "$@" </dev/null
}

# refused REGEXP NAME: the peer may not register
refused() {
    local status=0
    peer "$2" -q check >"$TMP/out" 2>"$TMP/err" || status=$?
    [ $status -ne 0 ] || fail "$2 may register"
    grep -qE -e "$1" "$TMP/err" || fail "$2 is refused, but not with '$1'"
    echo "ok - $2 is refused: $1"
}

admitted() {
    peer "$1" -q check >"$TMP/out" 2>"$TMP/err" || fail "$1 may not register"
    echo "ok - $1 may register"
}

# ---- invite ----

start invite
ctl url
url=$(cat "$TMP/out")
for name in anna bert carl; do
    peer $name -q keygen >/dev/null || fail "keygen"
done
says "^tryst://.*#" invite --name anna --ttl 1h
token=$(cat "$TMP/out")
says "^[0-9a-f]{8} +anna " invites
id=$(awk '/anna/ { print $1 }' "$TMP/out")
check "the list does not hold the token" test "$(grep -cF -e "${token#*#}" "$TMP/out")" -eq 0
restart invite
says "^$id +anna " invites
peer anna -q join "$token" || fail "join"
admitted anna
peer bert -q join "$token" 2>"$TMP/err"
check "an invite works once" test $? -ne 0
says "^$id +anna .*=\$" invites --all
complains "no open invite" revoke "$id"
says "^tryst://.*#" invite
second=$(cat "$TMP/out")
ctl invites
id=$(awk 'NR == 2 { print $1 }' "$TMP/out")
ctl revoke "$id" || fail "revoke"
restart invite
peer bert -q join "$second" 2>"$TMP/err"
check "a revoked invite does not work" test $? -ne 0
ctl invites
check "and is gone" test ! -s "$TMP/out"

# ---- allow, deny ----

annas=$(peer anna id) berts=$(peer bert id)
peer bert -q join "$url" 2>/dev/null
refused "not-registered|does not know" bert
ctl allow "$berts" --ttl 1d || fail "allow"
restart invite
says "^${berts//+/[+]} .* 20" access
admitted bert
ctl deny "$berts" || fail "deny"
restart invite
refused "does not know" bert
says "denied already" deny "$berts"
restart allowlist
complains "takes no invites" invite
refused "does not know" anna
ctl allow "$annas" || fail "allow"
admitted anna

# ---- ban ----

says "^banned ${annas//+/[+]} \(anna\) until 20" ban anna --ttl 1h --reason "sold"
refused "banned" anna
restart allowlist
says "^${annas//+/[+]} +anna .* sold\$" bans anna
refused "banned" anna
ctl unban anna || fail "unban"
restart allowlist
admitted anna
complains "192.0.2.0/24' would be right" ban 192.0.2.7/24
complains "say --force" ban 0.0.0.0/0
complains "no ban of 192.0.2.7" unban 192.0.2.7
says "^banned 127.0.0.0/8 for good" ban 127.0.0.0/8
peer anna -q check 2>/dev/null
check "a banned address gets nowhere" test $? -ne 0
restart allowlist
peer anna -q check 2>/dev/null
check "nor after a crash" test $? -ne 0
says "127.0.0.0/8" bans 127.0.0.1
says "[1-9][0-9]* connections, " status
ctl unban 127.0.0.0/8 || fail "unban"
admitted anna
ctl ban 2001:db8::/48 --ttl 1s || fail "ban"

# ---- names ----

says "^anna +${annas//+/[+]}" names
ctl allow "$berts" || fail "allow"
admitted bert
says "^anna is ${berts//+/[+]} now" name transfer anna "$berts"
restart allowlist
says "^anna +${berts//+/[+]}" names
says "^anna is free" name release anna
restart allowlist
complains "nobody holds" name release anna

# ---- open ----

kill "$daemon"
wait "$daemon"
start open
check "open registration is warned of at start" grep -qi "registration is OPEN" "$TMP/log"
says "^warning +registration is open" status
peer carl -q join "$url" 2>/dev/null
admitted carl
says "may register all the same" deny "$(peer carl id)"
admitted carl

# ---- the server's key ----

rotate() {
    "$TRYSTD" --state-dir "$TMP/state" rotate-key >"$TMP/out" 2>"$TMP/err"
}

former=$url
kill "$daemon"
wait "$daemon"
check "the server's key is changed" rotate
check "its file is as private as before" test "$(stat -c %a "$TMP/state/key")" = 600
rotate && fail "a second change loses the first key"
check "a second change is refused" grep -q "key.old is still accepted" "$TMP/err"
start open
ctl url
url=$(cat "$TMP/out")
check "the URL has the new one" test "$url" != "$former"
admitted carl
says "^old key .*; 0 handshakes" status
url=$former
admitted carl
says "^old key .*; [1-9]" status
rm "$TMP/state/key.old"
restart open
refused "server-key|did not prove" carl
