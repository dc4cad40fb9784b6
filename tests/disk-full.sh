#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The tryst authors
#
# A daemon whose disk is full, on a small file system in a mount namespace of its own: peers are
# introduced all the same, the status tells, and once there is room everything is recorded.
if [ "${DISK_FULL_INSIDE:-}" != yes ]; then
    for how in -m -rm; do
        ! unshare $how true 2>/dev/null || DISK_FULL_INSIDE=yes exec unshare $how bash "$0"
    done
    echo "no mount namespace can be had"
    exit 77
fi

# shellcheck source-path=SCRIPTDIR source=daemon-lib.sh
. "$(dirname "$0")/daemon-lib.sh" || exit 1

on_end() {
    umount "$TMP/state" 2>/dev/null
}

degraded() {
    ctl --json status | grep -q '"degraded":true'
}

well() {
    ctl --json status | grep -q '"degraded":false'
}

meet() {
    [ "$(echo hello | TRYST_HOME=$TMP/b timeout 60 "$TRYST" -q connect home)" = hello ]
}

listening() {
    ctl peers home | grep -q yes
}

mkdir "$TMP/state"
mount -t tmpfs -o size=16m,mode=700 tmpfs "$TMP/state" || {
    echo "no file system can be mounted"
    exit 77
}
start_daemon --registration open
url=$(ctl url)
for home in a b c; do
    TRYST_HOME=$TMP/$home "$TRYST" -q join "$url" || fail "join"
done
TRYST_HOME=$TMP/a "$TRYST" listen --name home --allow "$(TRYST_HOME=$TMP/b "$TRYST" id)" \
    --exec cat >/dev/null 2>&1 &
check "a peer listens" until_true listening
check "two peers meet" meet

cat /dev/zero >"$TMP/state/filler" 2>/dev/null
meetings=1
for ((i = 0; i < 20; i++)); do
    check "they meet on a full disk" meet
    meetings=$((meetings + 1))
    ! degraded || break
done
check "the status is degraded" until_true degraded
ctl status >"$TMP/out"
check "and says why" grep -q "cannot write: .*full" "$TMP/out"
check "so does the log" grep -q "cannot write: .*full" "$TMP/log"
check "they meet once more" meet
meetings=$((meetings + 1))
TRYST_HOME=$TMP/c "$TRYST" listen --name third --exec cat >/dev/null 2>&1 &
refused() {
    grep -q "refused .*: $(sed -n 's/^REASON([0-9]*, BUSY, "[^"]*", "[^"]*", "\([^"]*\)".*/\1/p' \
        "$abs_top_srcdir/proto/reason.def")" "$TMP/log"
}
check "one who would be new is refused" until_true refused
check "the old sessions can still be read" test "$(ctl sessions | grep -c connected)" -ge 1

rm "$TMP/state/filler"
check "it recovers by itself" until_true well
registered() {
    ctl peers third | grep -q yes
}
check "and lets the new one in" until_true registered
recorded() {
    [ "$(ctl sessions | grep -c connected)" -ge "$meetings" ]
}
check "all $meetings meetings are recorded" until_true recorded
check "nothing was lost" bash -c "'$TRYSTCTL' --admin-socket '$socket' --json status | grep -q '\"lost_sessions\":0'"
check "the database is sound" ctl check-store
check "it can be backed up" ctl backup copy.db
check "into the state directory" test -s "$TMP/state/backups/copy.db"
kill_daemon
start_daemon --registration open
check "all of them are there after a crash" recorded
