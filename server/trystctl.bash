# shellcheck shell=bash
# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The tryst authors
#
# Completion for trystctl(1) in bash.

_trystctl_commands="status peers sessions session nats stats limits watch metrics url invite invites revoke allow deny access ban unban bans names name kick drain config reload check-store backup log-level help"

_trystctl_options() {
    local common="--json --admin-socket --help"

    case $1 in
    peers) echo "--all --address --listening --since --until --limit $common" ;;
    sessions) echo "--outcome --active --failed --reason --since --until --peer --limit $common" ;;
    nats) echo "--all --mapping --allocation --limit $common" ;;
    stats) echo "--since --until $common" ;;
    watch) echo "--kind --peer $common" ;;
    config) echo "--changed $common" ;;
    limits) echo "--hit $common" ;;
    invite) echo "--name --ttl $common" ;;
    check-store) echo "--quick $common" ;;
    backup) echo "--force $common" ;;
    invites) echo "--all --limit $common" ;;
    allow) echo "--ttl $common" ;;
    deny) echo "--kick $common" ;;
    ban) echo "--ttl --reason --force $common" ;;
    access | bans | names) echo "--limit $common" ;;
    drain) echo "--timeout --to $common" ;;
    '') echo "--version $common" ;;
    *) echo "$common" ;;
    esac
}

# Asks the daemon that the command line so far is about. Where none answers, nothing is offered.
_trystctl_ask() {
    local i where=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        [ "${COMP_WORDS[i]}" = --admin-socket ] && where=(--admin-socket "${COMP_WORDS[i + 1]}")
    done
    "${COMP_WORDS[0]}" "${where[@]}" "$@" 2>/dev/null
}

_trystctl_words() {
    case $1 in
    peers | kick) _trystctl_ask peers | awk 'NR > 1 && $1 != "-" { print $1 }' ;;
    allow | deny | ban | access | names) _trystctl_ask peers --all | awk 'NR > 1 && $1 != "-" { print $1 }' ;;
    unban | bans) _trystctl_ask bans | awk 'NR > 1 { print $1 }' ;;
    revoke) _trystctl_ask invites | awk 'NR > 1 { print $1 }' ;;
    name) echo "release transfer $(_trystctl_ask names | awk 'NR > 1 { print $1 }')" ;;
    session) _trystctl_ask sessions | awk 'NR > 1 { print $1 }' ;;
    nats) _trystctl_ask nats | awk 'NR > 1 { print $1 }' ;;
    config) _trystctl_ask config | awk 'NR > 1 { print $1 }' ;;
    log-level) echo "error warning notice info debug" ;;
    esac
}

# Words that an option may be given. Reasons are those of the sessions on record.
_trystctl_values() {
    case $1 in
    --outcome) echo "active connected failed" ;;
    --reason) _trystctl_ask stats | awk '/^REASON/ { on = 1; next } !NF { on = 0 } on { print $1 }' ;;
    --mapping) echo "none eim adm apdm" ;;
    --allocation) echo "preserve offset counter block random" ;;
    --kind)
        echo "registered left survey session session-started session-planned session-round \
session-finished session-refused kick allow deny ban unban invite limit reload drain store"
        ;;
    esac
}

# The command is the first word that is neither an option nor the value of one.
_trystctl_command() {
    local i
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        --admin-socket) i=$((i + 1)) ;;
        -*) ;;
        *)
            echo "${COMP_WORDS[i]}"
            return
            ;;
        esac
    done
}

_trystctl() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} command
    command=$(_trystctl_command)
    COMPREPLY=()
    case $before in
    --admin-socket)
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
        return
        ;;
    --peer)
        mapfile -t COMPREPLY < <(compgen -W "$(_trystctl_words allow)" -- "$word")
        return
        ;;
    --outcome | --reason | --mapping | --allocation | --kind)
        mapfile -t COMPREPLY < <(compgen -W "$(_trystctl_values "$before")" -- "$word")
        return
        ;;
    --address)
        mapfile -t COMPREPLY < <(compgen -W "$(_trystctl_words nats)" -- "$word")
        return
        ;;
    --since | --until | --limit | --name | --ttl | --timeout | --to) return ;;
    esac
    case $word in
    -*) mapfile -t COMPREPLY < <(compgen -W "$(_trystctl_options "$command")" -- "$word") ;;
    *)
        if [ -z "$command" ]; then
            mapfile -t COMPREPLY < <(compgen -W "$_trystctl_commands" -- "$word")
        else
            mapfile -t COMPREPLY < <(compgen -W "$(_trystctl_words "$command")" -- "$word")
        fi
        ;;
    esac
}

complete -F _trystctl trystctl
