#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The tryst authors
#
# Two peers behind two NATs meet on this machine, in network namespaces: every step, with its
# time. One NAT is Linux's own, the other gives each connection a new public port, the next one
# up.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh" || exit 1

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ] && [ "${TERM:-dumb}" != dumb ]; then
    bold=$'\e[1m' dim=$'\e[2m' green=$'\e[32m' cyan=$'\e[36m' yellow=$'\e[33m' plain=$'\e[0m'
else
    bold="" dim="" green="" cyan="" yellow="" plain=""
fi

# ---- printing ----

began=$(date +%s%N)

# What happens, with the time since the start.
step() {
    local ms=$((($(date +%s%N) - began) / 1000000))
    printf '\n%s%6.2f s%s  %s%s%s\n' "$dim" "${ms}e-3" "$plain" "$bold" "$*" "$plain"
}

# A command as it would be typed there.
typed() {
    printf '          %s%s $%s %s\n' "$cyan" "$1" "$plain" "$2"
}

# What a program says, from stdin.
said() {
    sed "s/^/            ${dim}/; s/\$/${plain}/"
}

# show_new FILE: the lines that have come since the last call; true when one matches LAST
show_new() {
    local total
    total=$(wc -l <"$1")
    [ "$total" -eq "$SHOWN" ] || sed -n "$((SHOWN + 1)),${total}p" "$1" | said
    SHOWN=$total
    head -n "$total" "$1" | grep -q "$LAST"
}

# follow FILE LAST: what a program writes, as it comes, up to the last line that is awaited
follow() {
    SHOWN=0 LAST=$2
    lab_until 30 show_new "$1"
}

picture() {
    cat <<END

  ${bold}tryst: two peers behind two NATs, one direct TCP connection, no relay${plain}

                               ${yellow}.-----------.${plain}
                               ${yellow}|  trystd   |${plain}  198.51.100.1
                               ${yellow}'-----+-----'${plain}
                                     |
                   .-----------------+-----------------.
                   |  the Internet: 20 ms each way on  |
                   |     each of the two access links  |
                   '--+-----------------------------+--'
       203.0.113.8    |                             |    203.0.113.16
               ${yellow}.------+------.               .------+------.${plain}
               ${yellow}|  NAT, home  |               | NAT, office |${plain}
               ${yellow}'------+------'               '------+------'${plain}
       192.168.1.1    |                             |    192.168.1.1
                 .----+----.                   .----+----.
                 |  ${green}anna${plain}   |                   |  ${green}bert${plain}   |
                 '---------'                   '---------'
               192.168.1.10                  192.168.1.10

  ${bold}NAT, home${plain}    Linux: keeps ports, answers stray SYNs with RST
  ${bold}NAT, office${plain}  a new public port for every connection, counting up: 40000, 40001, ...
END
}

# ---- the story ----

build() {
    exec 4>&1 >/dev/null
    lab_server 0
    lab_site home linux-rst --delay 20
    lab_site office counter --delay 20 --allocation counter:1:40000
    lab_host home anna
    lab_host office bert
    exec >&4
}

join() {
    typed "$1" "tryst join $url"
    peer_join "$1" "$1" "$url"
    said <"$LAB/log/$1.join"
}

listen() {
    local key
    key=$(peer_key anna)
    typed bert "tryst listen --name bert --allow $key"
    mkfifo "$LAB/bert.in"
    exec 6<>"$LAB/bert.in"
    peer_spawn bert listen --name bert --allow "$key" \
        <"$LAB/bert.in" >"$LAB/bert.out" 2>"$LAB/log/bert.listen"
    peer_listens bert || fail "bert does not listen"
    said <"$LAB/log/bert.listen"
}

connect() {
    typed anna "tryst connect -n anna -v bert"
    mkfifo "$LAB/anna.in"
    exec 7<>"$LAB/anna.in"
    peer_spawn anna connect -n anna -v --report "$LAB/report" bert \
        <"$LAB/anna.in" >"$LAB/anna.out" 2>"$LAB/log/anna.connect"
    CONNECTED=$!
    follow "$LAB/log/anna.connect" "connected to bert" || fail "no connection"
}

# say FROM TO DESCRIPTOR TEXT: typed here, and it appears there
say() {
    local from=$1 to=$2
    echo "$4" >&"$3"
    lab_until 10 grep -qsxF -e "$4" "$LAB/$to.out" || fail "$to does not get the line"
    printf '          %s%s%s types   %s\n' "$green" "$from" "$plain" "$4"
    printf '          %s%s%s reads   %s\n' "$green" "$to" "$plain" "$(tail -n 1 "$LAB/$to.out")"
}

direct() {
    typed "$1" "ss --tcp state established"
    on "$1" ss -Hnt state established | awk '!/:538[234]/ { print $3, "<->", $4 }' | said
}

picture
build
step "The server starts; it needs no config file."
typed server "trystd"
server_start
typed server "trystctl url"
url=$(ctl url)
said <<<"$url"

step "Both peers join: a key of their own each, and the server's URL."
join anna
join bert

step "bert wants to be reached, by anna's key alone."
listen

step "anna connects. The server tells both which ports to expect, and when to go."
connect

step "A connection with nobody in between: what is typed on one side appears on the other."
say anna bert 7 "Hello bert, which port did you come out of?"
say bert anna 6 "The next one up. You knew before I did!"
direct anna
direct bert

step "What the operator sees."
typed server "trystctl sessions"
lab_until 10 session_over
ctl sessions | said
id=$(sessions '.[0].id' | tr -d '"' | cut -c 1-8)
typed server "trystctl session $id"
ctl session "$id" | said

step "The server is no longer needed: it stops, and they talk on."
typed server "kill trystd"
server_stop
say bert anna 6 "Is anybody listening in?"
say anna bert 7 "Nobody. Good night!"
exec 6>&- 7>&-
wait "$CONNECTED"

took=$(jq -r '.times_us.proven / 1000 | floor' <"$LAB/report")
step "Done: connected $took ms after the command was typed."
echo
