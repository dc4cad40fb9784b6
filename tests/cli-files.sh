#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The tryst authors
#
# What tryst keeps: key, server URL, known peers; who may read them, and what is said when they are not as
# they should be.
# shellcheck source-path=SCRIPTDIR source=cli-lib.sh
. "$(dirname "$0")/cli-lib.sh" || exit 1
umask 022

complains 1 "tryst keygen" id
complains 1 "tryst join URL" id --server
complains 1 "tryst join URL" connect home
check "nothing was made" test ! -e "$TRYST_HOME"

# keygen, id
run 0 keygen
key=$(cat "$TMP/out")
check "keygen prints a key" grep -qxE '[A-Za-z0-9+/]{43}=' "$TMP/out"
same "the directory is for its owner alone" 700 "$(mode "$TRYST_HOME")"
same "the key too" 600 "$(mode "$TRYST_HOME/key")"
run 0 id
same "id prints the key and nothing else" "$key" "$(cat "$TMP/out" "$TMP/err")"
complains 1 "exists" keygen
run 0 id
same "keygen has not touched the key" "$key" "$(cat "$TMP/out")"
run 0 keygen --force
check "--force replaces it" test "$key" != "$(cat "$TMP/out")"
key=$(cat "$TMP/out")
same "for its owner alone" 600 "$(mode "$TRYST_HOME/key")"
run 0 keygen -o "$TMP/other"
other=$(cat "$TMP/out")
run 0 --key "$TMP/other" id
same "--key names another key" "$other" "$(cat "$TMP/out")"
complains 1 "exists" keygen -o "$TMP/other"
complains 1 "/nowhere/key" keygen -o "$TMP/nowhere/key"
chmod 640 "$TMP/other"
complains 1 "chmod 600" id --key "$TMP/other"

# join
url=tryst://$(echo "$other" | tr '+/' '-_' | tr -d =)@example.org
complains 1 "begins with tryst://" join http://example.org
complains 1 "key" join tryst://example.org
complains 1 "key" join tryst://AAAA@example.org
complains 1 "." join "$url:99999"
complains 1 "which one" join "$url#token" other
complains 1 "not a token" join "$url#"
complains 1 "no-check" join --no-check "$url#token"
complains 1 "cannot be a peer's name" join --name 'a b' "$url"
complains 2 "no address" join tryst://"${url#*//}".invalid
check "a server that cannot be reached is not stored" test ! -e "$TRYST_HOME/server"
run 0 join --no-check "$url"
run 0 id --server
same "the URL is stored in full" "$url:5382" "$(cat "$TMP/out")"
same "for its owner alone" 600 "$(mode "$TRYST_HOME/server")"
run 0 --server "$url:77" id --server
TRYST_SERVER="tryst://nonsense" complains 1 "TRYST_SERVER" id --server
TRYST_SERVER=$url:78 run 0 id --server
same "TRYST_SERVER comes before the file" "$url:78" "$(cat "$TMP/out")"
echo nonsense >"$TRYST_HOME/server"
complains 1 "$TRYST_HOME/server" connect home
: >"$TRYST_HOME/server"
complains 1 "tryst join" connect home

# a new home in one step
TRYST_HOME=$TMP/new/deep run 0 join --no-check "$url"
same "join makes a key" 600 "$(mode "$TMP/new/deep/key")"
chmod g+w "$TMP/new/deep"
TRYST_HOME=$TMP/new/deep complains 1 "chmod go-w" connect home

# peers
run 0 peers
same "no peers yet" "" "$(cat "$TMP/out")"
run 0 peers add Home "$key"
run 0 peers add home "$key"
complains 1 "another key" peers add home "$other"
complains 1 "NAME KEY" peers add "$key" home
run 0 peers add away "$other"
run 0 peers --json
same "peers as JSON" "{\"name\":\"home\",\"key\":\"$key\"" "$(head -n 1 "$TMP/out" | cut -d , -f 1,2)"
run 0 peers
same "peers as a table" "away $other" "$(awk 'length($3) == 10 { l = $1 " " $2 } END { print l }' "$TMP/out")"
same "for its owner alone" 600 "$(mode "$TRYST_HOME/known_peers")"
complains 1 "no peer" peers forget nobody
run 0 peers forget HOME
run 0 peers forget "$other"
run 0 peers
same "all forgotten" "" "$(cat "$TMP/out")"

# listen refuses what it cannot know before it contacts anybody
"$TRYST" -q join --no-check "$url"
complains 1 "peers add bob" listen --allow bob
complains 1 "neither a peer's name nor a key" listen --allow 'b b'
complains 1 "cannot write" listen --report "$TMP/no/such"

# An unusable home.
complains 1 "TRYST_HOME|--home" --home "" keygen
: >"$TMP/file"
complains 1 "." --home "$TMP/file" keygen
complains 1 "." --home "$TMP/file/below" keygen
