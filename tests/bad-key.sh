#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The tryst authors
#
# Secret keys that others can read, that cannot be read, or that are none: neither peer nor server
# runs with them.
# shellcheck source-path=SCRIPTDIR/natlab source=lib.sh
. "$(dirname "$0")/natlab/lib.sh" || exit 1

lab_server 0
lab_site home public
lab_host home anna
server_start
url=$(ctl url)
PEER_HOST[anna]=anna
home=$LAB/home/anna

complains 1 "tryst join|tryst keygen" peer anna connect bert
check "join makes a key" peer anna join "$url"
same "for its owner alone" 600 "$(stat -c %a "$home/key")"
own=$(peer_key anna)
complains 1 "." peer anna keygen
same "and keygen does not overwrite it" "$own" "$(peer_key anna)"

chmod 644 "$home/key"
complains 1 "chmod 600" peer anna connect bert
complains 1 "chmod 600" peer anna id
chmod 600 "$home/key"
cp "$home/key" "$LAB/key"
echo "not a key" >"$home/key"
complains 1 "does not hold a key" peer anna connect bert
: >"$home/key"
complains 1 "does not hold a key" peer anna connect bert
head -c 100000 /dev/urandom >"$home/key"
complains 1 "too large|does not hold a key" peer anna connect bert
rm "$home/key"
mkdir "$home/key"
complains 1 "not a regular file|directory" peer anna connect bert
rmdir "$home/key"
ln -s "$LAB/key" "$home/key"
complains 1 "symbolic link" peer anna connect bert
rm "$home/key"
cp "$LAB/key" "$home/key"
same "with its own key back, all is well" "$own" "$(peer_key anna)"

# Another user's key: needs a second user id.
if [ "$(awk '{ n += $3 } END { printf "%.0f", n }' /proc/self/uid_map)" -gt 1 ]; then
    chmod 755 /run "$LAB" "$LAB/home" "$home"
    complains 1 "cannot read|belongs to another user|ermission" \
        setpriv --reuid 1 --clear-groups env TRYST_HOME="$home" "$TRYST" id
fi

server_stop
key=$(grep -lxE '[A-Za-z0-9+/]{43}=' "$LAB"/state/* | head -n 1)
serve() {
    timeout 20 nsenter --net=/run/netns/server "$TRYSTD" --state-dir "$LAB/state" \
        --admin-socket "$SERVER_SOCKET" --listen $SERVER_V4
}
chmod 640 "$key"
complains 2 "chmod 600" serve
chmod 600 "$key"
cp "$key" "$LAB/server-key"
echo "not a key" >"$key"
complains 2 "does not hold a key" serve
rm "$key"
mkdir "$key"
complains 2 "not a regular file|directory" serve
rmdir "$key"
cp "$LAB/server-key" "$key"
database=$(grep -lax 'SQLite format 3.*' "$LAB"/state/* | head -n 1)
cp "$database" "$LAB/database"
echo "this is not a database, and long enough to be seen as something else" >"$database"
rm -f "$database"-*
complains 2 "database" serve
cp "$LAB/database" "$database"
server_start
same "with its own files back, all is well" "$url" "$(ctl url)"
