#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The tryst authors
#
# How 5,000 peers (PEERS) come back: all at once, for what the daemon can take; after a drain, which
# spreads them; and after a kill, when only their own pauses do. Prints figures, judges nothing.
# shellcheck source-path=SCRIPTDIR source=daemon-lib.sh
. "$(dirname "$0")/daemon-lib.sh" || exit 1
patience=300

# told N WHEN: the flock's N-th report
told() {
    there() {
        [ "$(wc -l <"$TMP/flock")" -ge "$1" ]
    }
    until_true there "$1" || fail "the flock does not come back"
    printf '%-14s %s\n' "$2:" "$(sed -n "$1p" "$TMP/flock")"
}

start() {
    start_daemon --registration open --log-level notice
}

start
"$abs_top_builddir/tests/crowd" flock "$(ctl url)" "${PEERS:-5000}" >"$TMP/flock" &
told 1 "all at once"
end_daemon
start
told 2 "after a drain"
kill_daemon
start
told 3 "after a kill"
