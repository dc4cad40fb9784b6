#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# Data flows one way, and no include points against it:
#   net -> session -> predict -> plan -> schedule; dispatch sees them all; nobody but main includes dispatch.
# proto/ depends on nothing else here; the client stub and the server know nothing of each other; pure files do no I/O.
set -u
cd "$(dirname "$0")/.." || exit 1
shopt -s failglob # a pattern that finds nothing is a mistake in this script
bad=0

complain() {
    printf 'not ok - %s\n' "$1"
    bad=1
}

# The project's own headers that a file includes, without folders.
included() {
    sed -n 's/^#include "\(.*\)"$/\1/p' "$1"
}

# Which stage a server file belongs to; nothing for what every stage may use.
stage() {
    case ${1##*/} in
    net.* | net_*) echo net ;;
    session.*) echo session ;;
    survey.*) echo survey ;;
    predict*) echo predict ;;
    plan.* | plan_*) echo plan ;;
    schedule*) echo schedule ;;
    store*) echo store ;;
    admin*) echo admin ;;
    peer_table.*) echo table ;;
    dispatch*) echo dispatch ;;
    esac
}

# What a stage may include of others: the stages to its left whose values it takes.
allowed() {
    case $1 in
    net | session | predict) echo "" ;;
    survey) echo "predict" ;;
    plan) echo "survey predict" ;;
    schedule) echo "" ;;
    store) echo "predict" ;;
    table) echo "net predict schedule store" ;;
    admin) echo "predict store" ;;
    dispatch) echo "net session survey predict plan schedule store admin table" ;;
    esac
}

check_stages() {
    local file own other
    for file in server/*.c server/*.h; do
        own=$(stage "$file")
        [ -n "$own" ] || continue
        for header in $(included "$file"); do
            other=$(stage "$header")
            [ -n "$other" ] && [ "$other" != "$own" ] || continue
            case " $(allowed "$own") " in
            *" $other "*) ;;
            *) complain "$file ($own) includes $header ($other)" ;;
            esac
        done
    done
}

check_folders() {
    local file
    for file in proto/*.c proto/*.h; do
        included "$file" | grep -Eq '(^|/)(server|client-stub)/' && complain "$file looks out of proto/"
    done
    for file in server/*.c server/*.h; do
        included "$file" | grep -q 'client-stub/' && complain "$file includes from the client stub"
    done
    for file in client-stub/*.c client-stub/*.h; do
        included "$file" | grep -q 'server/' && complain "$file includes from the server"
    done
}

# Pure files touch no socket, clock, random source or file: time and randomness are arguments.
check_pure() {
    local file
    for file in proto/{endpoint,wire,nat,peer_kind,reason,frame,key,noise,msg,msg_kind}.c \
        server/{histogram,metrics,session_tally,slab,lookup,access,net_limit,peer_table,session,survey,plan,plan_*,predict*,schedule*}.c; do
        [ -e "$file" ] || continue
        grep -Eq '\b(clock_gettime|time|gettimeofday|rand|random|socket|connect|send|recv|open|fopen|getrandom|randombytes_buf|loop_clock|stamp_now)\(' "$file" &&
            complain "$file is to be pure, and is not"
        grep -Eq '^#include <(ev\.h|sqlite3\.h|pthread\.h|time\.h|unistd\.h|jansson\.h)>' "$file" &&
            complain "$file is to be pure, and includes I/O"
    done
}

# Addresses of peers are logged as the operator wants them: by log_endpoint() and log_address() alone.
# A file that logs may format addresses for other ends only if it is named here.
check_log() {
    local file
    for file in server/*.c; do
        [ "$file" = server/log.c ] && continue # does it
        tr '\n' ' ' <"$file" | grep -Eq '\blog_[a-z_]+\([^;]*endpoint_format' &&
            complain "$file logs an address past log_endpoint()"
        case ${file##*/} in
        dispatch.c | net.c | metrics_http.c) continue ;; # the server's own addresses
        admin_list.c) continue ;;                    # what the store is asked for
        esac
        grep -q 'endpoint_format' "$file" && grep -Eq '\blog_[a-z_]+\(' "$file" &&
            complain "$file logs, and formats addresses past log_endpoint()"
    done
}

check_stages
check_folders
check_log
check_pure
[ "$bad" = 0 ] && echo "ok - no include points the wrong way"
exit "$bad"
