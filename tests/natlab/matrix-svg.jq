# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The tryst authors
#
# The summary of a square as a heat map. $kinds: the kinds in order; $runs, $date: for the legend.

def size: {w: 62, h: 40, left: 132, top: 226};
def escape: gsub("&"; "&amp;") | gsub("<"; "&lt;");
def digits($n): (pow(10; $n)) as $f | . * $f | round | tostring |
    until(length > $n; "0" + .) | .[:length - $n] + "." + .[length - $n:];

# Red over yellow to blue, which the colour-blind can tell apart too.
def stops: [[0, 178, 24, 43], [0.25, 239, 138, 98], [0.5, 253, 219, 140], [0.75, 146, 197, 222],
    [0.95, 67, 147, 195], [1, 33, 102, 172]];
def colour: . as $x | stops as $s |
    ([range(1; $s | length) | select($s[.][0] >= $x)][0] // ($s | length - 1)) as $i |
    (($x - $s[$i - 1][0]) / ($s[$i][0] - $s[$i - 1][0])) as $t |
    [range(1; 4) as $c | $s[$i - 1][$c] + ($s[$i][$c] - $s[$i - 1][$c]) * $t | round] |
    "rgb(\(map(tostring) | join(",")))";
def ink: if . >= 0.85 or . < 0.2 then "#fff" else "#1a1a1a" end;

def text($x; $y; $class): "<text x=\"\($x)\" y=\"\($y)\" class=\"\($class)\">\(. | escape)</text>";

# A refusal that was asked for is no failure.
def refused: .ok == 0 and .stated == 0 and .short == [];
def rate: .ok / .runs;

def tip: "<title>\(.cell | escape): \(.ok)/\(.runs)\(if .seconds then
    ", \(.seconds | digits(2)) s" else "" end)\(if .short == [] then "" else
    "; short: " + (.short | join(", ")) end | escape)</title>";

def cell($column; $row): size as $z |
    ($z.left + $column * $z.w) as $x | ($z.top + $row * $z.h) as $y |
    if .runs == 0 then empty else
    "<g>\(tip)<rect x=\"\($x)\" y=\"\($y)\" width=\"\($z.w)\" height=\"\($z.h)\" fill=\"\(
        if refused then "#d9d9d9" else rate | colour end)\"/>",
    (if refused then
        ("refused" | text($x + $z.w / 2; $y + 17; "rate")),
        ("at once" | text($x + $z.w / 2; $y + 31; "time"))
     else
        (rate | ink) as $ink |
        "<g fill=\"\($ink)\">",
        ("\(rate * 100 | round) %" | text($x + $z.w / 2; $y + 17; "rate")),
        (if .seconds then "\(.seconds | digits(2)) s" else "–" end |
            text($x + $z.w / 2; $y + 32; "time")),
        "</g>"
     end),
    (if .short == [] then empty else
        "<path d=\"M\($x + $z.w - 11) \($y + 1.5)h9.5v9.5z\" fill=\"#111\"/>" end),
    "</g>" end;

def legend($x):
    ("tryst: every kind of NAT against every other" | text($x; 40; "title")),
    ("\($date), \($runs) runs a cell, 20 ms one way on each access link, real TCP stacks" |
        text($x; 64; "note")),
    ("In a cell: successes; median time from the start of “tryst connect” to the proven " +
        "connection" | text($x; 84; "note")),
    (range(0; 11) | . as $i | "<rect x=\"\($x + $i * 34)\" y=\"98\" width=\"34\" height=\"16\" " +
        "fill=\"\($i / 10 | colour)\"/>"),
    (range(0; 11; 5) | . as $i | "\($i * 10) %" | text($x + $i * 34 + 17; 130; "mark")),
    "<rect x=\"\($x + 396)\" y=\"98\" width=\"16\" height=\"16\" fill=\"#d9d9d9\"/>",
    ("refused at once, with the reason" | text($x + 420; 111; "note")),
    "<path d=\"M\($x + 402) 120h9.5v9.5z\" fill=\"#111\"/>",
    ("falls short of its target" | text($x + 420; 130; "note"));

(map({key: .cell, value: .}) | from_entries) as $at | size as $z | ($kinds | length) as $n |
([$z.left + $n * $z.w + 76, 740] | max) as $width | ($z.top + $n * $z.h + 24) as $height |
"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 \($width) \($height)\" " +
    "width=\"\($width)\" height=\"\($height)\" " +
    "font-family=\"DejaVu Sans, Helvetica, Arial, sans-serif\">",
"<style>
.title { font-size: 22px; font-weight: bold; fill: #111 }
.note { font-size: 13px; fill: #444 }
.mark { font-size: 11px; fill: #444; text-anchor: middle }
.row { font-size: 12.5px; fill: #111; text-anchor: end }
.column { font-size: 12.5px; fill: #111 }
.rate { font-size: 13px; font-weight: bold; text-anchor: middle }
.time { font-size: 11px; text-anchor: middle }
rect { stroke: #fff; stroke-width: 1.5 }
</style>",
"<rect width=\"\($width)\" height=\"\($height)\" fill=\"#fff\" stroke=\"none\"/>",
legend(24),
(range(0; $n) as $i |
    "<text class=\"column\" transform=\"translate(\($z.left + $i * $z.w + $z.w / 2 + 4) " +
    "\($z.top - 8)) rotate(-45)\">\($kinds[$i] | escape)</text>"),
(range(0; $n) as $row |
    ($kinds[$row] | text($z.left - 8; $z.top + $row * $z.h + $z.h / 2 + 4; "row")),
    (range(0; $n) as $column |
        ($at["\($kinds[$row])/\($kinds[$column])"] // $at["\($kinds[$column])/\($kinds[$row])"] //
            empty) | cell($column; $row))),
"</svg>"
