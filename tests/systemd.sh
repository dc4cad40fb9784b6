#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The tryst authors
#
# What systemd's own tools say of the units, and that every setting there has a reason beside it.
set -u
export LC_ALL=C
: "${abs_top_srcdir:=$(cd "$(dirname "$0")/.." && pwd)}"
: "${abs_top_builddir:=$abs_top_srcdir/build}"
: "${TRYSTD:=$abs_top_builddir/trystd}"
units=$abs_top_srcdir/systemd
TMP=$(mktemp -d) || exit 1
trap 'rm -rf "$TMP"' EXIT

fail() {
    echo "not ok - $*"
    [ ! -s "$TMP/out" ] || sed 's/^/# /' "$TMP/out"
    exit 1
}

# A setting follows a comment, or another setting that the same comment speaks of; sections and
# empty lines end that.
reasons() {
    awk '/^\[(Unit|Install)\]/ { known = 1; next }
        /^\[/ || /^$/ { known = 0; next }
        /^#/ { known = 1; next }
        !known { print FILENAME ":" FNR ": " $0; bad = 1 }
        END { exit bad }' "$@" >"$TMP/out"
}
reasons "$units"/trystd.service.in "$units"/*.socket || fail "settings without a reason"
echo "ok - every setting has a reason"

command -v systemd-analyze >/dev/null || {
    echo "skip - systemd-analyze is missing"
    exit 77
}
[ -e "$abs_top_builddir/systemd/trystd.service" ] || {
    echo "skip - built without units"
    exit 77
}

# The program where it is now, not where it will be.
mkdir "$TMP/units"
sed "s|^ExecStart=[^ ]*|ExecStart=$TRYSTD|" "$abs_top_builddir/systemd/trystd.service" \
    >"$TMP/units/trystd.service"
cp "$units"/*.socket "$TMP/units/"
systemd-analyze verify --man=no "$TMP"/units/* >"$TMP/out" 2>&1 || fail "systemd-analyze verify"
! grep -q "$TMP/units" "$TMP/out" || fail "systemd-analyze verify warns"
echo "ok - systemd-analyze verify"

systemd-analyze security --help | grep -q -- --offline || {
    echo "skip - this systemd-analyze does not rate files"
    exit 77
}

# rate FILE: at 1.5 or below
rate() {
    systemd-analyze security --offline=true --threshold=15 --no-pager "$1" >"$TMP/out" 2>&1 ||
        fail "${1##*/}: exposed too much"
    grep -q "Overall exposure" "$TMP/out" || fail "no rating of ${1##*/}"
    echo "ok - ${1##*/}:$(sed -n 's/.*Overall exposure level for [^:]*://p' "$TMP/out" | cut -c 1-7)"
}
rate "$TMP/units/trystd.service"

# With the drop-in for a user that stays.
mkdir "$TMP/static"
{
    cat "$TMP/units/trystd.service"
    sed -n '/^\[Service\]/,$p' "$units/trystd-static-user.conf"
} >"$TMP/static/trystd.service"
rate "$TMP/static/trystd.service"

# ---- user and directories ----

if [ "$(id -u)" -eq 0 ] && command -v systemd-sysusers >/dev/null &&
    command -v systemd-tmpfiles >/dev/null; then
    root=$TMP/root
    mkdir -p "$root/usr/lib/sysusers.d" "$root/usr/lib/tmpfiles.d" "$root/etc"
    cp "$units/tryst-sysusers.conf" "$root/usr/lib/sysusers.d/tryst.conf"
    cp "$units/tryst-tmpfiles.conf" "$root/usr/lib/tmpfiles.d/tryst.conf"
    systemd-sysusers --root="$root" >"$TMP/out" 2>&1 || fail "systemd-sysusers"
    grep -q '^tryst:' "$root/etc/passwd" || fail "no user tryst"
    echo "ok - sysusers.d"
    systemd-tmpfiles --root="$root" --create >"$TMP/out" 2>&1 || fail "systemd-tmpfiles"
    owner=$(sed -n 's/^tryst:[^:]*:\([0-9]*\):\([0-9]*\):.*/\1:\2/p' "$root/etc/passwd")
    [ "$(stat -c '%u:%g %a' "$root/var/lib/tryst")" = "$owner 700" ] || fail "/var/lib/tryst"
    [ "$(stat -c '%u:%g %a' "$root/run/tryst")" = "$owner 755" ] || fail "/run/tryst"
    [ "$(stat -c '%u:%g %a' "$root/etc/tryst")" = "0:0 755" ] || fail "/etc/tryst"
    echo "ok - tmpfiles.d"
fi
