#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The tryst authors
#
# trystd under a service manager (tests/manager stands for systemd): what it tells it, the watchdog,
# and sockets that the manager holds: right ones, wrong ones, and restarts that refuse nobody.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh" || exit 1
: "${MANAGER:=$abs_top_builddir/tests/manager}"

ip link set lo up
here=127.0.0.1
ports=(--port 5382 --port 5383 --port 5384)
socket=$LAB/admin.sock
out=$LAB/told err=$LAB/log/trystd.err
mkfifo "$LAB/orders"
exec 8<>"$LAB/orders"

: >"$LAB/trystd.conf"

# managed [OPTION...]: a manager with a daemon that has not been started
managed() {
    : >"$out"
    : >"$err"
    "$MANAGER" "$@" -- "$TRYSTD" -c "$LAB/trystd.conf" --state-dir "$LAB/state" \
        --admin-socket "$socket" --listen $here "${ports[@]}" --public-host $here \
        --registration open <"$LAB/orders" >"$out" 2>"$err" 8>&- &
    manager=$!
}

order() {
    echo "$*" >&8
}

# told COUNT REGEX: so many such lines, in time
count_is() {
    [ "$(grep -cE -e "$2" "$out")" -ge "$1" ]
}
told() {
    lab_until 30 count_is "$1" "$2" || fail "the manager has not been told $2 $1 times"
}

quit() {
    order quit
    lab_exit 0 "$manager" || fail "the manager does not end"
    rm -f "$LAB"/notify "$LAB"/handed*
}

ctl() {
    "$TRYSTCTL" --admin-socket "$1" "${@:2}" >"$LAB/stdout" 2>"$LAB/stderr"
}

# knock PORT: whether a connection opens
knock() {
    (exec 7<>"/dev/tcp/$here/$1") 2>/dev/null
}

# ---- what it tells ----

for where in "$LAB/notify" "@tryst-test-$$"; do
    managed --notify "$where"
    order start
    told 1 "^notify READY=1$"
    told 1 "^notify STATUS=Serving tryst://.*@$here:5382: 0 peers, 0 sessions under way$"
    order signal 15
    told 1 "^notify STOPPING=1$"
    told 1 "^notify EXTEND_TIMEOUT_USEC=[0-9]{8,}$"
    told 1 "^exit 0$"
    ! grep -q WATCHDOG "$out" || fail "a watchdog that nobody asked for was fed"
    quit
    ok "start and stop over ${where/#$LAB/a path:}"
done

# A reload, with and without a mistake.
in_force() {
    ctl "$socket" config && grep -qE "max-sessions.*77" "$LAB/stdout"
}
managed --notify "$LAB/notify"
order start
told 1 "^notify READY=1$"
echo 'max-sessions = 77' >"$LAB/trystd.conf"
order signal 1
told 1 "^notify RELOADING=1$"
told 1 "^notify MONOTONIC_USEC=[0-9]+$"
told 2 "^notify READY=1$"
in_force || fail "the reload has no effect"
echo 'max-sessions = many' >"$LAB/trystd.conf"
order signal 1
told 2 "^notify RELOADING=1$"
told 3 "^notify READY=1$"
in_force || fail "a mistake is in force"
order signal 15
told 1 "^exit 0$"
: >"$LAB/trystd.conf"
quit
ok "reloads are told, with their beginning and their end"

# A failed start: says why, with an errno.
managed --notify "$LAB/notify" --socket "tryst=$here:5999"
order start
told 1 "^notify STATUS=Cannot start: descriptor 3, handed over as 'tryst', $here:5999: .*$here:5382"
told 1 "^exit 2$"
quit
mkfifo "$LAB/idle"
exec 7<>"$LAB/idle"
"$MANAGER" --socket "x=$here:5383" -- /bin/cat <&7 8>&- &
occupant=$!
exec 7>&-
lab_until 15 knock 5383 || fail "no occupant"
managed --notify "$LAB/notify"
order start
told 1 "^notify STATUS=Cannot start: cannot listen on $here:5383: Address already in use$"
told 1 "^notify ERRNO=98$"
told 1 "^exit 2$"
kill "$occupant"
quit
ok "a start that fails is told, with its errno"

# ---- watchdog ----

managed --notify "$LAB/notify" --watchdog 3000
order start
told 3 "^notify WATCHDOG=1$"
! grep -q "^starved" "$out" || fail "the watchdog is fed too late"
order signal 19 # SIGSTOP: the loop is stuck
told 1 "^starved$"
fed=$(grep -c WATCHDOG "$out")
order signal 18
told $((fed + 1)) "^notify WATCHDOG=1$"
ok "the loop feeds the watchdog, and starves it when it is stuck"
order signal 15
told 1 "^exit 0$"
quit

# ---- sockets ----

# metrics: served where the manager says
metrics() {
    exec 7<>"/dev/tcp/$here/9382" || return 1
    printf 'GET /metrics HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n' $here >&7
    grep -q "^tryst_" <&7
}

handed=(--socket "tryst=$here:5382" --socket "tryst=$here:5383" --socket "tryst=$here:5384"
    --socket "admin=$LAB/handed.sock" --socket "metrics=$here:9382")
managed --notify "$LAB/notify" "${handed[@]}"
order start
told 1 "^notify READY=1$"
check "the admin socket is the manager's" ctl "$LAB/handed.sock" status
check "and no other is made" test ! -e "$socket"
check "metrics are at the manager's socket" metrics
order signal 15
told 1 "^exit 0$"
check "which the daemon leaves in place" test -S "$LAB/handed.sock"
order start
told 2 "^notify READY=1$"
check "and takes again" ctl "$LAB/handed.sock" status
order signal 2
told 2 "^exit 0$"
quit

managed --notify "$LAB/notify" --socket "tryst=$here:5383"
order start
told 1 "^notify READY=1$"
check "sockets that are missing are opened" ctl "$socket" status
grep -q "$here:5382, $here:5383, $here:5384" "$LAB/stdout" || fail "not all ports are listened on"
order signal 15
told 1 "^exit 0$"
quit

# wrong NAME=WHERE REGEX: such a socket is refused, with a message
wrong() {
    managed --notify "$LAB/notify" --socket "tryst=$here:5382" --socket "$1"
    order start
    told 1 "^exit 2$"
    grep -qE -e "descriptor 4, handed over as '${1%%=*}'.*$2" "$err" ||
        fail "$1: no word of $2: $(cat "$err")"
    ok "$1 is refused: $2"
    quit
}
: >"$LAB/file"
wrong "tryst=file:$LAB/file" "is no socket"
wrong "tryst=udp:$here:5383" "no stream socket"
wrong "tryst=deaf:$here:5383" "does not listen"
wrong "tryst=$LAB/handed1" "FileDescriptorName=admin"
wrong "admin=$here:5383" "has to be a Unix socket"
wrong "tryst=dual:[::]:5383" "BindIPv6Only=ipv6-only"
wrong "tryst=[::1]:5383" "listens on $here:5382"
wrong "tryst=$here:5385" "listens on $here:5382, $here:5383, $here:5384"
managed --notify "$LAB/notify" --socket "admin=$LAB/handed2" --socket "admin=$LAB/handed3"
order start
told 1 "^exit 2$"
grep -q "it came twice" "$err" || fail "two admin sockets: $(cat "$err")"
ok "two sockets for one purpose are refused"
quit

# The same from systemd's own hands, where they are.
if command -v systemd-socket-activate >/dev/null; then
    activate() {
        systemd-socket-activate "$@" "$TRYSTD" --state-dir "$LAB/state" --admin-socket "$socket" \
            --listen $here "${ports[@]}" --registration open 2>"$err" &
        activated=$!
        lab_line "$err" "^Listening on" || fail "systemd-socket-activate does not listen"
    }
    activate -l $here:5382 -l $here:5383 -l $here:5384 -l "$LAB/handed4" \
        --fdname=tryst:tryst:tryst:admin
    lab_until 15 knock 5382
    lab_until 15 ctl "$LAB/handed4" status || fail "activated, but no answer"
    kill -TERM $activated
    lab_exit 0 $activated || fail "activated, but does not end"
    activate -l $here:5382 -l $here:5999 --fdname=tryst:survey
    lab_until 15 knock 5382
    lab_exit 2 $activated || fail "a wrong socket of systemd's is taken"
    grep -q "handed over as 'survey', $here:5999" "$err" || fail "no word of the wrong socket"
    ok "systemd-socket-activate"
fi

# ---- restarts ----

# restarts COUNT [OPTION...]: so many, while a client connects again and again; how that went is in
# $LAB/knocks
mkfifo "$LAB/knocking"
restarts() {
    local count=$1 i knocker
    managed --notify "$LAB/notify" "${@:2}"
    order start
    told 1 "^notify READY=1$"
    exec 7<>"$LAB/knocking"
    "$MANAGER" --knock $here:5382 <"$LAB/knocking" >"$LAB/knocks" 7>&- 8>&- &
    knocker=$!
    exec 6>"$LAB/knocking" 7>&-
    for ((i = 1; i <= count; i++)); do
        order signal 15
        told "$i" "^exit 0$"
        order start
        told $((i + 1)) "^notify READY=1$"
    done
    exec 6>&-
    lab_exit 0 $knocker || fail "the client does not end"
    note "$(cat "$LAB/knocks")"
    order signal 15
    told $((count + 1)) "^exit 0$"
    quit
}

restarts 20 "${handed[@]}"
grep -qE "^knocks [0-9]{2,} refused 0 failed 0$" "$LAB/knocks" || fail "connections were refused"
ok "20 restarts, and no connection attempt refused"
restarts 1
grep -qE "refused [1-9]" "$LAB/knocks" || fail "the client does not notice what is refused"
ok "which it counts where the daemon holds its sockets itself"
