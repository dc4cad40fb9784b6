#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The tryst authors
#
# Servers that are not there, not themselves, or no tryst server at all; and a server that does not
# want us: status 2 and a message, never a hang.
# shellcheck source-path=SCRIPTDIR/natlab source=lib.sh
. "$(dirname "$0")/natlab/lib.sh" || exit 1

# url KEY HOST PORT: with the key in URL-safe base64 as it stands in another URL
url() {
    echo "tryst://$1@$2:$3"
}

lab_server 0
lab_site home public
lab_host home anna
lab_host home bert
SERVER_OPEN_TO=invite
server_start
genuine=$(ctl url)
key=${genuine#tryst://}
key=${key%%@*}
PEER_HOST[anna]=anna PEER_HOST[bert]=bert

complains 1 "." peer anna join "http://example.org"
complains 1 "." peer anna join "tryst://notakey@$SERVER_V4"
complains 2 "cannot be reached" peer anna join "$(url "$key" $SERVER_V4 9)"
complains 2 "address|resol|name" peer anna join "$(url "$key" no-such-host.invalid 5382)"
wrong=$(peer anna id | tr '+/' '-_' | tr -d =)
complains 2 "did not prove|key" peer anna join "$(url "$wrong" $SERVER_V4 5382)"

port=6000
for manner in banner http garbage echo close reset silence; do
    port=$((port + 1))
    on server "$LABTOOL" answer $SERVER_V4 $port $manner >"$LAB/answer.$manner" &
    lab_line "$LAB/answer.$manner" ready || fail "the wrong server does not listen"
    note "a server that answers with $manner"
    complains 2 "tryst: " peer anna join "$(url "$key" $SERVER_V4 $port)"
done

complains 2 "does not know this key|invite" peer anna join "$genuine"
complains 2 "invite is unknown" peer anna join "$genuine" bm90LWFuLWludml0ZQ
invite=$(ctl invite)
note "$invite"
# shellcheck disable=SC2086 # URL and token may be two words
check "a genuine invite is good" peer anna join $invite
# shellcheck disable=SC2086
complains 2 "invite is unknown, used or expired" peer bert join $invite

# shellcheck disable=SC2046
check "a second invite for a second peer" peer bert join $(ctl invite)
peer_listen anna --exec cat
complains 2 "another key holds this name" timeout 20 nsenter --net=/run/netns/bert \
    env TRYST_HOME="$LAB/home/bert" "$TRYST" connect --name anna "$(peer_key anna)"
server_stop
complains 2 "cannot be reached" peer bert connect anna
