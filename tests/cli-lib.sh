# shellcheck shell=bash
# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The tryst authors
#
# For the tests of the program tryst that need no server: a home of its own, and assertions on what a
# command prints and how it ends.
set -u
export LC_ALL=C

: "${TRYST:?}"
unset TRYST_SERVER XDG_CONFIG_HOME NO_COLOR
TMP=$(mktemp -d)
trap 'rm -rf "$TMP"' EXIT
export TRYST_HOME=$TMP/home HOME=$TMP

fail() {
    echo "not ok - $*"
    [ ! -e "$TMP/out" ] || sed 's/^/stdout: /' "$TMP/out"
    [ ! -e "$TMP/err" ] || sed 's/^/stderr: /' "$TMP/err"
    exit 1
}

check() {
    local what=$1
    shift
    "$@" || fail "$what (failed: $*)"
    echo "ok - $what"
}

same() {
    [ "$2" = "$3" ] || fail "$1: wanted '$2', got '$3'"
    echo "ok - $1"
}

# run STATUS ARGUMENT...: tryst, which ends with this status, and never prints anything to standard output when it fails
run() {
    local wanted=$1 status=0
    shift
    "$TRYST" "$@" >"$TMP/out" 2>"$TMP/err" </dev/null || status=$?
    [ "$status" = "$wanted" ] || fail "tryst $*: status $status, not $wanted"
    [ "$status" = 0 ] || [ ! -s "$TMP/out" ] || fail "tryst $*: failed, but printed something"
    [ "$status" = 0 ] || [ -s "$TMP/err" ] || fail "tryst $*: failed without a word"
}

# complains STATUS REGEXP ARGUMENT...
complains() {
    local status=$1 text=$2
    shift 2
    run "$status" "$@"
    grep -qE -e "$text" "$TMP/err" || fail "tryst $*: no word of '$text'"
    echo "ok - tryst $*: $text"
}

mode() {
    stat -c %a "$1"
}
