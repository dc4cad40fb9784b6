#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The tryst authors
#
# What the server says about a NAT is what that NAT is: one peer behind each kind, which only
# listens, and the server's profile of its address.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh" || exit 1

# nat_of SITE JQ-FILTER: on the profile of the site's public address, "" without one
nat_of() {
    ctl --json nats | jq -r --arg prefix "$(site_address "$1")" \
        '(.nats[] | select(.address == $prefix) | .nat | '"$2"') // empty'
}

# shown SITE JQ-FILTER WANTED
shown() {
    [ "$(nat_of "$1" "$2")" = "$3" ]
}

# survey SITE "KIND [OPTION...]" WANTED: mapping filtering allocation refusal pooling simultaneous
survey() {
    local site=$1 filter
    filter='"\(.mapping) \(.filtering) \(.allocation) \(.refusal) \(.pooling) \(.no_simultaneous_open)"'
    # shellcheck disable=SC2086 # a kind and its options
    lab_site "$site" ${2%% *} --delay 20 ${2#"${2%% *}"}
    lab_host "$site" "$site"
    peer_join "$site" "$site"
    peer_listen "$site"
    lab_until 10 shown "$site" "$filter" "$3" || {
        ctl --json nats | jq -c '.nats[]'
        fail "$site ($2): wanted '$3', got '$(nat_of "$site" "$filter")'"
    }
    ok "$2: $3"
}

lab_server
server_start
for filtering in eif adf apdf; do
    survey "n$filtering" "eim --filtering $filtering" "eim $filtering random silence paired false"
done
survey counter "counter --filtering adf --refusal rst" "apdm adf counter rst paired false"
survey refuses "preserve --refusal icmp --refuse-simultaneous-open" \
    "eim apdf preserve icmp paired true"
survey random "random --filtering eif" "apdm eif random silence paired false"
survey linuxdrop linux-drop "apdm apdf preserve silence paired false"
