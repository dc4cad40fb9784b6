#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The tryst authors
#
# A small part of what `make sim` plays: it meets its targets, whatever the number of processes.
set -eu
: "${abs_top_builddir:=$PWD}"
sim=$abs_top_builddir/tests/sim/sim
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
    echo "FAIL: $*" >&2
    exit 1
}

"$sim" --pairs 3000 --cell 0 --seed 1 --jobs 1 --raw "$work/1.tsv" >"$work/1.txt"
"$sim" --pairs 3000 --cell 0 --seed 1 --jobs 3 --raw "$work/3.tsv" >"$work/3.txt"
cmp "$work/1.txt" "$work/3.txt" || fail "the number of processes changes the outcome"
cmp "$work/1.tsv" "$work/3.tsv" || fail "the number of processes changes a pair"
[ "$(wc -l <"$work/1.tsv")" -eq 3001 ] || fail "not one line a pair"
grep -q 'MISSED' "$work/1.txt" && fail "too few pairs meet: $(grep -A1 'as they occur' "$work/1.txt")"

# What cannot work is refused: no SYN is sent.
"$sim" --pairs 60 --pair P7 P7 --jobs 1 --raw "$work/7.tsv" >"$work/7.txt"
awk -F '\t' 'NR > 1 && (($7 > 0) || ($9 + $10 > 0)) { bad = 1 } END { exit bad }' "$work/7.tsv" ||
    fail "SYNs where no pair can meet"

# What falls short is told to a script.
status=0
"$sim" --pairs 200 --pair P7 P8 --jobs 1 --check >"$work/check.txt" || status=$?
missed=$(awk '/targets missed/ { print $1 }' "$work/check.txt")
[ "$status" -eq "$((missed > 0))" ] || fail "exit status $status with $missed targets missed"
status=0
"$sim" --pairs nonsense >"$work/bad.txt" 2>&1 || status=$?
[ "$status" -eq 2 ] || fail "exit status $status for a bad option"
"$sim" --help | grep -q -- --population || fail "--help"
