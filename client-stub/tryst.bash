# shellcheck shell=bash
# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The tryst authors
#
# Completion for tryst(1) in bash.

_tryst_options() {
    local common="--home --server --key --verbose --quiet --help"
    local punch="--name --plain --budget --birthday --report"

    case $1 in
    join) echo "--name --no-check $common" ;;
    connect) echo "--local --timeout $punch $common" ;;
    listen) echo "--allow --forward --exec --once $punch $common" ;;
    check) echo "--json --timeout --budget --birthday $common" ;;
    id) echo "--home --server --key --verbose --quiet --help" ;;
    peers) echo "--json $common" ;;
    keygen) echo "--output --force $common" ;;
    help) echo "$common" ;;
    *) echo "--version $common" ;;
    esac
}

# The command is the first word that is neither an option nor the value of one.
_tryst_command() {
    local i
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        --home | --server | --key) i=$((i + 1)) ;;
        -*) ;;
        *)
            echo "${COMP_WORDS[i]}"
            return
            ;;
        esac
    done
}

_tryst_peers() {
    "${COMP_WORDS[0]}" -q peers 2>/dev/null | awk 'NR > 1 { print $1 }'
}

_tryst() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
    local command words=""

    command=$(_tryst_command)
    COMPREPLY=()
    case $prev in
    --home)
        mapfile -t COMPREPLY < <(compgen -d -- "$cur")
        return
        ;;
    --key | --report | --output | -o)
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        return
        ;;
    --exec | -e)
        mapfile -t COMPREPLY < <(compgen -c -- "$cur")
        return
        ;;
    --allow | -a) words="all $(_tryst_peers)" ;;
    --server) [ "$command" = id ] || return ;;
    --name | -n | --budget | --timeout | -t | --local | -L | --forward) return ;;
    -f) [ "$command" != listen ] || return ;;
    esac

    if [ -z "$words" ]; then
        case $command:$cur in
        *:-*) words=$(_tryst_options "$command") ;;
        :*) words="join connect listen check id peers keygen help" ;;
        connect:* | check:*) words=$(_tryst_peers) ;;
        help:*) words="join connect listen check id peers keygen" ;;
        peers:*)
            case $prev in
            peers) words="forget add" ;;
            forget) words=$(_tryst_peers) ;;
            esac
            ;;
        esac
    fi
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}

complete -F _tryst tryst
