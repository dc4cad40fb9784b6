# shellcheck shell=bash
# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The tryst authors
#
# trystd and peers in the laboratory, and what must be true of a session (sourced by lib.sh).
# A peer has a name, a host that it runs on, and a directory of its own for its key.

declare -A PEER_HOST=() PEER_PID=() SYN_MARK=()
TALK_BOTH=()
SERVER_PID=
SERVER_HOST=$SERVER_V4
SERVER_OPEN_TO=open
SERVER_CONFIG=()
SERVER_SOCKET=$LAB/admin.sock

# ---- the server ----

ctl() {
    "$TRYSTCTL" --admin-socket "$SERVER_SOCKET" "$@"
}

server_answers() {
    ctl status >/dev/null 2>&1
}

# In namespace server, with SERVER_CONFIG, lines of a config file; ready when this returns.
server_start() {
    printf '%s\n' "${SERVER_CONFIG[@]}" >"$LAB/trystd.conf"
    spawn server "$TRYSTD" -c "$LAB/trystd.conf" --state-dir "$LAB/state" \
        --admin-socket "$SERVER_SOCKET" --public-host "$SERVER_HOST" \
        --registration "$SERVER_OPEN_TO" \
        --listen "$SERVER_V4" ${SERVER_V4_SECOND:+--listen "$SERVER_V4_SECOND"} \
        --listen "$SERVER_V6" \
        2>>"$LAB/log/trystd.err"
    SERVER_PID=$!
    lab_until 15 server_answers || fail "trystd does not start"
}

# server_stop: SIGTERM, and exit status 0
server_stop() {
    kill -TERM "$SERVER_PID"
    lab_exit 0 "$SERVER_PID" 20 || fail "trystd does not end cleanly on SIGTERM"
}

server_kill() {
    kill -KILL "$SERVER_PID"
    wait "$SERVER_PID" 2>/dev/null
}

# ---- peers ----

# as PEER COMMAND...: on the peer's host, with the peer's key
as() {
    local peer=$1
    shift
    on "${PEER_HOST[$peer]}" env TRYST_HOME="$LAB/home/$peer" "$@"
}

# peer PEER COMMAND [ARGUMENT...]: the program tryst
peer() {
    local peer=$1
    shift
    as "$peer" "$TRYST" "$@"
}

# peer_spawn PEER COMMAND [ARGUMENT...]: the same in the background; $! is tryst itself
peer_spawn() {
    local peer=$1
    shift
    spawn "${PEER_HOST[$peer]}" env TRYST_HOME="$LAB/home/$peer" "$TRYST" "$@"
}

# peer_join PEER HOST [URL]: a new peer; where no name was claimed yet, others know it by its key
peer_join() {
    PEER_HOST[$1]=$2
    peer "$1" join "${3:-$(ctl url)}" >"$LAB/log/$1.join" 2>&1 || fail "$1 cannot join"
}

peer_key() {
    peer "$1" id
}

# peer_listen PEER [OPTION...]: in the background, for everybody; ready when this returns
peer_listen() {
    local name=$1
    shift
    : >"$LAB/log/$name.listen"
    peer_spawn "$name" listen --name "$name" --allow all "$@" 2>>"$LAB/log/$name.listen"
    PEER_PID[$name]=$!
    peer_listens "$name" || fail "$name does not listen"
}

peer_listens() {
    lab_line "$LAB/log/$1.listen" "listening as $1"
}

# peer_stop PEER: SIGTERM, and exit status 0
peer_stop() {
    kill -TERM "${PEER_PID[$1]}"
    lab_exit 0 "${PEER_PID[$1]}" 20 || fail "tryst listen of $1 does not end cleanly on SIGTERM"
}

# talk A B [BYTES [OPTION...]]: A connects to B; different bytes go both ways at once and arrive
# whole, and so does their end. The options go to `tryst connect`, those in TALK_BOTH to both.
talk() {
    local a=$1 b=$2 bytes=${3:-300000} listener status=0
    : >"$LAB/log/$b.listen"
    (
        set -o pipefail
        "$LABTOOL" send 2 "$bytes" |
            peer "$b" listen --once --name "$b" --allow all "${TALK_BOTH[@]}" \
                2>>"$LAB/log/$b.listen" |
            "$LABTOOL" check 1 "$bytes"
    ) &
    listener=$!
    peer_listens "$b" || fail "$b does not listen"
    syn_mark "${PEER_HOST[$a]}" "${PEER_HOST[$b]}"
    (
        set -o pipefail
        "$LABTOOL" send 1 "$bytes" |
            peer "$a" connect -v --report "$LAB/report.json" "${TALK_BOTH[@]}" "${@:4}" "$b" \
                2>"$LAB/log/$a.connect" |
            "$LABTOOL" check 2 "$bytes"
    ) || status=$?
    [ $status -eq 0 ] || fail "$a to $b: tryst connect, or the bytes it got (status $status)"
    lab_exit 0 "$listener" || fail "$b: tryst listen --once, or the bytes it got"
    ok "$a to $b: $bytes bytes each way, intact, each end by itself"
}

# ---- what the server recorded ----

# sessions JQ-FILTER: applied to the array of recorded sessions, newest first
sessions() {
    ctl --json sessions | jq -c ".sessions | $1"
}

# Both results have come, or the session is otherwise over.
session_over() {
    [ "$(sessions 'length > 0 and .[0].finished != null')" = true ]
}

# recorded WHAT JQ-FILTER: holds for the newest session
recorded() {
    lab_until 10 session_over || fail "the last session is not recorded as over"
    [ "$(sessions ".[0] | $2")" = true ] || {
        ctl --json sessions | jq '.sessions[0]'
        fail "recorded: $1 ($2)"
    }
    ok "recorded: $1"
}

# ---- SYN retransmissions: counted, not timed ----

syn_mark() {
    local host
    for host; do
        SYN_MARK[$host]=$(tcp_counter "$host" TCPSynRetrans)
        [ -n "${SYN_MARK[$host]}" ] || fail "this kernel does not count SYN retransmissions"
    done
}

# syn_quiet HOST...: none since syn_mark
syn_quiet() {
    local host now
    for host; do
        now=$(tcp_counter "$host" TCPSynRetrans)
        [ "$now" = "${SYN_MARK[$host]}" ] && continue
        note "$host sent $((now - SYN_MARK[$host])) SYNs again"
        return 1
    done
}

# ---- the usual case: two peers behind two NATs ----

# lab_pair "KIND [OPTION...]" "KIND [OPTION...]": anna behind the first, bert behind the second,
# 20 ms one way on each access link
lab_pair() {
    lab_server
    # shellcheck disable=SC2086 # a kind and its options
    {
        lab_site home ${1%% *} --delay 20 ${1#"${1%% *}"}
        lab_site away ${2%% *} --delay 20 ${2#"${2%% *}"}
    }
    lab_host home anna
    lab_host away bert
    server_start
    peer_join anna anna
    peer_join bert bert
}

# meets A B: talk, without a SYN sent again, and recorded so
meets() {
    talk "$@"
    check "$1 and $2 met without a SYN sent again" syn_quiet "${PEER_HOST[$1]}" "${PEER_HOST[$2]}"
    recorded "connected, from $1's key to $2's, $2 by name" ".state == \"connected\" and
        .requester.key == \"$(peer_key "$1")\" and .target.key == \"$(peer_key "$2")\" and
        .target.name == \"$2\""
}
