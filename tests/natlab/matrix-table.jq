# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The tryst authors
#
# The summary as lines of text columns, or with $markdown as a table.

def digits($n): if . == null then "-" else
    (pow(10; $n)) as $f | . * $f | round | tostring |
    until(length > $n; "0" + .) | .[:length - $n] + "." + .[length - $n:] end;
def percent: if . == null then "-" else "\(. * 100 | round)%" end;
def left($n): . + " " * ([$n - length, 0] | max) | .[:([$n, length] | max)];
def right($n): (" " * ([$n - length, 0] | max)) + .;

def target: [
    if .rate then "\(.rate | percent)" else empty end,
    if .stated then "as stated" else empty end,
    if .floor then "\(.floor | percent) stated" else empty end,
    if .refused then "refused: \(.refused)" else empty end,
    if .within then "< \(.within) s" else empty end,
    if .prompt then "no SYN again" else empty end] | join(", ");
def verdict: if .short == [] then "met" else "SHORT: " + (.short | join(", ")) end;
def reasons: .reasons | to_entries | map("\(.key) x\(.value)") | join(" ");

def columns: [
    .cell, "\(.ok)/\(.runs)", (.seconds | digits(2)), (.since_request | digits(2)),
    (.cold | digits(2)), (.syns | map(round | tostring) | join("+")), (.resent | map(tostring) | join("+")),
    (.stated | percent), (if .runs == 0 then "-" else .ok / .runs | percent end),
    (.held | percent), (.target | target), verdict, reasons];
def heads: ["cell", "ok", "s", "from request", "first", "SYNs", "again", "stated", "seen", "block",
    "target", "verdict", "failures"];
def widths: [42, -6, -6, -13, -6, -9, -7, -7, -5, -6, 31, 24, 0];

def text: [., widths] | transpose | map(if .[1] < 0 then .[1] as $w | .[0] | right(-$w)
    else .[1] as $w | .[0] | left($w) end) | join(" ") | sub(" +$"; "");

if $markdown then
    (heads | "| " + join(" | ") + " |"), (heads | map("---") | "|" + join("|") + "|"),
    (.[] | columns | "| " + join(" | ") + " |")
else
    (heads | text), (.[] | columns | text)
end
