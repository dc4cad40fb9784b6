#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The tryst authors
#
# Config files with mistakes: file and line, what is wrong and what would be right; and a machine
# that does not give what the config asks for.
# shellcheck source-path=SCRIPTDIR/natlab source=lib.sh
. "$(dirname "$0")/natlab/lib.sh" || exit 1

file=$LAB/trystd.conf

# mistake REGEX: the config on stdin is refused, with the file's name and the mistake in the message
mistake() {
    cat >"$file"
    complains 1 "$1" "$TRYSTD" -c "$file" --check-config
}

mistake "trystd.conf:2: .*prot" <<'END'
# a word that is no option
prot = 5382
END
mistake "trystd.conf:3:" <<'END'
registration = "open"
# not one of the words
log-level = "loud"
END
mistake "trystd.conf:1:" <<'END'
syn-budget = 100000
END
mistake "trystd.conf:1:" <<'END'
syn-budget = many
END
mistake "trystd.conf:1:" <<'END'
handshake-timeout = "10 parsecs"
END
mistake "trystd.conf:2:" <<'END'
# too few
port = {"5382"}
END
mistake "trystd.conf:[12]:" <<'END'
state-dir = "/var/lib/tryst
END
mistake "trystd.conf" <<'END'
port = {"5382", "5383", "5384"
END
mkdir "$LAB/trystd.conf.d"
printf '\nrounds = none\n' >"$LAB/trystd.conf.d/20-rounds.conf"
mistake "trystd.conf.d/20-rounds.conf:2: .*1 to 10 would be right" <<'END'
include = {"trystd.conf.d/*.conf"}
END
rm "$LAB/trystd.conf.d/20-rounds.conf"
mistake "trystd.conf:2: option 'include'.*No such file" <<'END'

include = missing.conf
END
echo "include = again.conf" >"$LAB/trystd.conf.d/nested"
mistake "nested:1: .*includes no others" <<'END'
include = trystd.conf.d/nested
END
echo "rounds = 3" >"$LAB/trystd.conf.d/10-rounds.conf"
printf 'include = {"trystd.conf.d/*.conf"}\nprobe = no\n' >"$file"
check "an included file's values hold, and their place is told" \
    grep -q "set by: .*/10-rounds.conf:1; takes effect at a reload" \
    <("$TRYSTD" -c "$file" --print-config)

head -c 3000 /dev/urandom >"$LAB/noise"
complains 1 "noise" "$TRYSTD" -c "$LAB/noise" --check-config
complains 1 "No such file" "$TRYSTD" -c "$LAB/none.conf" --check-config
complains 1 "not a regular file" "$TRYSTD" -c "$LAB" --check-config
complains 1 "." "$TRYSTD" --no-such-option

"$TRYSTD" --print-config >"$LAB/first"
check "the printed defaults are a file that can be read" "$TRYSTD" -c "$LAB/first" --check-config
"$TRYSTD" -c "$LAB/first" --print-config >"$LAB/second"
check "and prints the same again" cmp <(grep -v '^#' "$LAB/first") <(grep -v '^#' "$LAB/second")

lab_server 0
server_start
complains 2 "admin.sock|lock|running|in use" timeout 20 nsenter --net=/run/netns/server "$TRYSTD" \
    --state-dir "$LAB/state2" --admin-socket "$SERVER_SOCKET" \
    --listen $SERVER_V4 --port 6382 --port 6383 --port 6384
complains 2 "in use" timeout 20 nsenter --net=/run/netns/server "$TRYSTD" \
    --state-dir "$LAB/state3" --admin-socket "$LAB/admin3.sock" --listen $SERVER_V4
complains 2 "198.51.100.77" timeout 20 nsenter --net=/run/netns/server "$TRYSTD" \
    --state-dir "$LAB/state4" --admin-socket "$LAB/admin4.sock" --listen 198.51.100.77
complains 2 "state" timeout 20 nsenter --net=/run/netns/server "$TRYSTD" --state-dir /proc/none \
    --admin-socket "$LAB/admin5.sock" --listen $SERVER_V4
check "the first server does not care" ctl status
server_stop
complains 2 "admin.sock" ctl status
