# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The tryst authors
#
# From the lines that matrix-cell.sh wrote (slurped) and $cells, an array of {cell, target}: an
# array of one object for each cell, in that order, with what it reached and where it falls short.

def median:
    sort | if length == 0 then null
        else (.[(length - 1) / 2 | floor] + .[length / 2 | floor]) / 2 end;
def mean: if length == 0 then null else add / length end;
def seconds: if . == null then null else . / 1e6 end;
def since_request: .times_us.proven - .times_us.requested;

# From the moment the survey was done (or, without one, the invitation answered) to the refusal.
def refusal_us: .took_us - (.prepared_us // .accepted_us // 0);
def prompt_refusal: (.ok | not) and .status == 4 and .planned == [] and .took_us != null
    and refusal_us < 1e6;

# Did the connection come by a SYN that was sent again? The kernel's first pause is a second.
def waited: .ok and (.resent | add) > 0 and .times_us.opened - .times_us.punched > 9e5;

# Rounds are trials: each came with its stated chance, and the last one of a success was it.
def stated: [.[].planned[]] | {expected: (add // 0), variance: (map(. * (1 - .)) | add // 0)};

def short($target):
    (map(select(.ok)) | length) as $ok | length as $runs | stated as $stated |
    (map(select(.ok).times_us.proven) | median | seconds) as $median |
    [
        if length == 0 then "no result" else empty end,
        if $target.rate and $runs - $ok > ($runs * (1 - $target.rate) + 1e-9 | floor)
            then "success" else empty end,
        if $target.within and $median and $median > $target.within then "time" else empty end,
        if $target.prompt and any(waited) then "SYN sent again" else empty end,
        if $target.stated and ($ok - $stated.expected | fabs) > 2 * ($stated.variance | sqrt) + 0.5
            then "stated chance" else empty end,
        if $target.floor and (map(.planned[0] // 0) | mean) < $target.floor
            then "chance" else empty end,
        if $target.refused and (all(prompt_refusal and .reason == $target.refused) | not)
            then "refusal" else empty end,
        if $target.stated and any((.ok | not) and .planned == [] and (prompt_refusal | not))
            then "refusal" else empty end,
        if all(.closed) then empty else "sockets left" end,
        if any(.[].blocks[]; . != null and .[0] * 2 > .[1]) then "block" else empty end
    ];

def summary($target):
    map(select(.ok)) as $good | {
        runs: length,
        ok: ($good | length),
        seconds: ($good | map(.times_us.proven) | median | seconds),
        since_request: ($good | map(since_request) | median | seconds),
        cold: ($good | map(select(.cold).times_us.proven) | median | seconds),
        syns: [map(.syns[0] // 0), map(.syns[1] // 0) | median],
        resent: [map(.resent[0]), map(.resent[1]) | add],
        rounds: (map(.rounds // 0) | mean),
        stated: (if length == 0 then null else ([stated.expected / length, 1] | min) end),
        skew_ms: ($good | map(.skew_us // 0 | fabs) | median |
            if . == null then null else . / 1000 end),
        held: ([.[].blocks[] | select(. != null) | .[0] / .[1]] | max),
        reasons: (map(select(.ok | not) | .reason // "no report") | group_by(.) |
            map({key: .[0], value: length}) | from_entries),
        target: $target,
        short: short($target)
    };

group_by(.cell) | map({key: .[0].cell, value: .}) | from_entries as $runs |
$cells | map({cell} + (.target as $target | $runs[.cell] // [] | summary($target)))
