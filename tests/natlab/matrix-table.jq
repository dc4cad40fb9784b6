# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The tryst authors
#
# The summary as a table: $view is cells (a line for each), rows (a line for each group of cells),
# or square (of $kinds). Columns of text, or with $markdown a table of that.

def digits($n): if . == null then "-" else
    (pow(10; $n)) as $f | . * $f | round | tostring |
    until(length > $n; "0" + .) | .[:length - $n] + "." + .[length - $n:] end;
def percent: if . == null then "-" else "\(. * 100 | round)%" end;
def left($n): . + " " * ([$n - length, 0] | max) | .[:([$n, length] | max)];
def right($n): (" " * ([$n - length, 0] | max)) + .;

# [width (negative: right-aligned), head] for each column
def text($columns): [., $columns] | transpose | map(.[1][0] as $w | .[0] |
    if $w < 0 then right(-$w) else left($w) end) | join(" ") | sub(" +$"; "");
def table($columns; $rows): ($columns | map(.[1])) as $heads |
    if $markdown then
        ($heads, ($heads | map("---")), $rows[]) | "| " + join(" | ") + " |"
    else
        ($heads, $rows[]) | text($columns)
    end;

def target: [
    if .rate then .rate | percent else empty end,
    if .stated then "as stated" else empty end,
    if .floor then "\(.floor | percent) stated" else empty end,
    if .refused then "refused: \(.refused)" else empty end,
    if .within then "< \(.within) s" else empty end,
    if .prompt then "no SYN again" else empty end] | join(", ");
def verdict: if .short == [] then "met" else "SHORT: " + (.short | join(", ")) end;
def pair: map(. // 0 | round | tostring) | join("+");
def rate: if .runs == 0 then null else .ok / .runs end;

def cells: [[42, "cell"], [-6, "ok"], [-6, "s"], [-12, "from request"], [-6, "first"], [-9, "SYNs"],
    [-11, "again"], [-6, "stated"], [-5, "seen"], [-5, "block"], [31, "target"], [28, "verdict"],
    [0, "failures"]];
def cell: [.cell, "\(.ok)/\(.runs)", (.seconds | digits(2)), (.since_request | digits(2)),
    (.cold | digits(2)), (.syns | pair), (.resent | pair), (.stated | percent), (rate | percent),
    (.held | percent), (.target | target), verdict,
    (.reasons | to_entries | map("\(.key) x\(.value)") | join(" "))];

def rows: [[34, "row"], [-5, "cells"], [-9, "ok"], [-5, "least"], [-9, "slowest s"], [-5, "short"],
    [0, "cells that fall short"]];
def row: [.[0].target.row, (length | tostring), "\(map(.ok) | add)/\(map(.runs) | add)",
    (map(rate) | min | percent), (map(.seconds) | max | digits(2)),
    (map(select(.short != [])) | length | tostring),
    (map(select(.short != []).cell) | if length > 6 then .[:6] + ["..."] else . end | join(" "))];
# In the order in which they first come.
def grouped: to_entries | group_by(.value.target.row) | sort_by(.[0].key) | map(map(.value));

def square($kinds): (map({key: .cell, value: .}) | from_entries) as $at |
    [$kinds[] as $row | [$row, ($kinds[] as $column |
        ($at["\($row)/\($column)"] // $at["\($column)/\($row)"]) |
        if . == null or .runs == 0 then "" else
            "\(.ok)/\(.runs)\(if .seconds then " \(.seconds | digits(2))" else "" end)" +
            (if .short == [] then "" else "!" end)
        end)]];

if $view == "rows" then map(select(.runs > 0)) | grouped | table(rows; map(row))
elif $view == "square" then square($kinds) as $rows |
    table([[14, ""]] + ($kinds | map([13, .])); $rows)
else table(cells; map(cell)) end
