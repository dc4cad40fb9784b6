#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The tryst authors
#
# Who may register and who is kept out, with real binaries on the loopback: every mode and command,
# and all of it again after kill -9.
# shellcheck source-path=SCRIPTDIR source=daemon-lib.sh
. "$(dirname "$0")/daemon-lib.sh" || exit 1

start() {
    start_daemon --registration "$1"
}

# restart MODE: as after a crash
restart() {
    kill_daemon
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
run 0 url
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
complains 3 "no open invite" revoke "$id"
says "^tryst://.*#" invite
second=$(cat "$TMP/out")
run 0 invites
id=$(awk 'NR == 2 { print $1 }' "$TMP/out")
run 0 revoke "$id"
restart invite
peer bert -q join "$second" 2>"$TMP/err"
check "a revoked invite does not work" test $? -ne 0
run 0 invites
check "and is gone" test ! -s "$TMP/out"

# ---- allow, deny ----

annas=$(peer anna id) berts=$(peer bert id)
peer bert -q join "$url" 2>/dev/null
refused "not-registered|does not know" bert
run 0 allow "$berts" --ttl 1d
restart invite
says "^${berts//+/[+]} .* 20" access
admitted bert
run 0 deny "$berts"
restart invite
refused "does not know" bert
says "denied already" deny "$berts"
restart allowlist
complains 3 "takes no invites" invite
refused "does not know" anna
run 0 allow "$annas"
admitted anna

# ---- ban ----

says "^banned ${annas//+/[+]} \(anna\) until 20" ban anna --ttl 1h --reason "sold"
refused "banned" anna
restart allowlist
says "^${annas//+/[+]} +anna .* sold\$" bans anna
refused "banned" anna
run 0 unban anna
restart allowlist
admitted anna
complains 3 "192.0.2.0/24' would be right" ban 192.0.2.7/24
complains 3 "say --force" ban 0.0.0.0/0
complains 3 "no ban of 192.0.2.7" unban 192.0.2.7
says "^banned 127.0.0.0/8 for good" ban 127.0.0.0/8
peer anna -q check 2>/dev/null
check "a banned address gets nowhere" test $? -ne 0
restart allowlist
peer anna -q check 2>/dev/null
check "nor after a crash" test $? -ne 0
says "127.0.0.0/8" bans 127.0.0.1
says "[1-9][0-9]* connections, " status
run 0 unban 127.0.0.0/8
admitted anna
run 0 ban 2001:db8::/48 --ttl 1s

# ---- names ----

says "^anna +${annas//+/[+]}" names
run 0 allow "$berts"
admitted bert
says "^anna is ${berts//+/[+]} now" name transfer anna "$berts"
restart allowlist
says "^anna +${berts//+/[+]}" names
says "^anna is free" name release anna
restart allowlist
complains 3 "nobody holds" name release anna

# ---- open ----

end_daemon
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
end_daemon
check "the server's key is changed" rotate
check "its file is as private as before" test "$(stat -c %a "$TMP/state/key")" = 600
rotate && fail "a second change loses the first key"
check "a second change is refused" grep -q "key.old is still accepted" "$TMP/err"
start open
run 0 url
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
