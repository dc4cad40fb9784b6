#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The tryst authors
#
# Every kind of NAT against every other, in the NAT laboratory, with the real programs:
#
#   matrix.sh [OPTION]... [KIND/KIND...]      without cells: the square and the special cells
#
#   --square, --special   these cells alone
#   --runs N              runs a cell (20)
#   --jobs N              cells at once (3)
#   --out DIR             where results go (matrix/ in the build directory)
#   --seed N              of the NATs' randomness (1)
#   --print               measure nothing, print what DIR holds of the cells
#   --markdown            the tables in Markdown, the square as one
#   --check               exit status 1 where a cell falls short of its target
#   --list                the cells' names
#
# RUNS, JOBS and OUT in the environment are defaults of the options. matrix-kinds.sh explains the
# kinds and holds the targets. In DIR afterwards: results.jsonl, a line for each run; summary.json,
# an object for each cell; square.svg, the heat map; cells/, the results of each cell and, where the
# laboratory itself failed, its log. Results of cells that were not measured this time stay.
set -u
export LC_ALL=C

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=matrix-kinds.sh
. "$here/matrix-kinds.sh"

: "${abs_top_builddir:=$(cd "$here/../.." && pwd)/build}"
runs=${RUNS:-20}
jobs=${JOBS:-3}
out=${OUT:-$abs_top_builddir/matrix}
seed=1
parts=()
cells=()
measure=yes
markdown=false
check=no
only_list=no

die() {
    echo "matrix.sh: $*" >&2
    exit 2
}

# number WORD LEAST MOST WHAT
number() {
    case $1 in
    '' | *[!0-9]* | ??????*) die "$4: '$1' is not a number from $2 to $3" ;;
    esac
    [ "$1" -ge "$2" ] && [ "$1" -le "$3" ] || die "$4: '$1' is not a number from $2 to $3"
}

options() {
    while [ $# -gt 0 ]; do
        case $1 in
        --square | --special) parts+=("${1#--}") ;;
        --runs | --jobs | --out | --seed)
            [ $# -gt 1 ] || die "$1 needs a value"
            printf -v "${1#--}" %s "$2"
            shift
            ;;
        --print) measure=no ;;
        --markdown) markdown=true ;;
        --check) check=yes ;;
        --list) only_list=yes ;;
        -h | --help)
            sed -n 's/^# \{0,1\}//; 5,25p' "${BASH_SOURCE[0]}"
            exit
            ;;
        -*) die "unknown option '$1'; see --help" ;;
        *) cells+=("$1") ;;
        esac
        shift
    done
    number "$runs" 1 60 --runs
    number "$jobs" 1 64 --jobs
    number "$seed" 0 99999 --seed
}

# check_cell KIND/KIND
check_cell() {
    local a=${1%%/*} b=${1#*/}
    case $1 in
    */*/* | /* | */) die "'$1' is not KIND/KIND" ;;
    */*) ;;
    *) die "'$1' is not KIND/KIND" ;;
    esac
    [ "$a" = hosts ] || [ "$a" = homes ] || kind_site "$a" >/dev/null || die "no such kind: '$a'"
    kind_site "$b" >/dev/null || die "no such kind: '$b'"
    [ "$a" != homes ] || kind_is_natbox "$b" || die "a carrier of kind '$b' is not to be had"
}

choose_cells() {
    local part cell
    [ ${#cells[@]} -gt 0 ] || [ ${#parts[@]} -gt 0 ] || parts=(square special)
    for part in "${parts[@]}"; do
        case $part in
        square) mapfile -t -O ${#cells[@]} cells < <(square_cells "${MATRIX_KINDS[@]}") ;;
        special) mapfile -t -O ${#cells[@]} cells < <(special_cells) ;;
        esac
    done
    for cell in "${cells[@]}"; do
        check_cell "$cell"
    done
}

# ---- measuring ----

# file_of CELL: the name of its files in cells/
file_of() {
    echo "$out/cells/${1//\//_}"
}

# one_cell CELL NUMBER
one_cell() {
    local file status
    file=$(file_of "$1")
    rm -f "$file.jsonl" "$file.log"
    abs_top_builddir=$abs_top_builddir bash "$here/matrix-cell.sh" "${1%%/*}" "${1#*/}" "$runs" \
        $((seed * 100000000 + $2 * 100000)) "$file.jsonl" >"$file.log" 2>&1
    status=$?
    [ $status -eq 0 ] && rm -f "$file.log"
    return $status
}

end_cells() {
    local group
    for group in $(jobs -p); do
        kill -TERM -- "-$group" 2>/dev/null
    done
}

progress() {
    [ -t 2 ] || return 0
    printf '\r\033[K%d of %d cells, %d s' "$1" ${#cells[@]} $SECONDS >&2
}

measure_all() {
    local cell done=0 running=0 number=0 broken=0
    mkdir -p "$out/cells" || die "cannot make $out/cells"
    set -m # a process group for each cell, to end it by
    trap end_cells EXIT
    trap 'exit 130' INT TERM HUP
    for cell in "${cells[@]}" ""; do
        while [ $running -gt 0 ] && { [ $running -ge "$jobs" ] || [ -z "$cell" ]; }; do
            wait -n || broken=$((broken + 1))
            running=$((running - 1)) done=$((done + 1))
            progress $done
        done
        [ -n "$cell" ] || break
        number=$((number + 1)) running=$((running + 1))
        one_cell "$cell" $number </dev/null &
    done
    trap - EXIT INT TERM HUP
    set +m
    [ ! -t 2 ] || printf '\r\033[K' >&2
    [ $broken -eq 0 ] ||
        echo "matrix.sh: the laboratory failed in $broken cells; see $out/cells/*.log" >&2
}

# ---- printing ----

# The cells with their targets, as JSON.
targets() {
    local cell
    for cell in "${cells[@]}"; do
        printf '{"cell":"%s","target":%s}\n' "$cell" "$(cell_target "${cell%%/*}" "${cell#*/}")"
    done | jq -s -c .
}

gather() {
    local cell file
    for cell in "${cells[@]}"; do
        file=$(file_of "$cell").jsonl
        [ ! -s "$file" ] || cat "$file"
    done >"$out/results.jsonl"
    targets >"$out/targets.json"
    jq -s --slurpfile targets "$out/targets.json" \
        '$targets[0] as $cells | '"$(cat "$here/matrix-summary.jq")" \
        "$out/results.jsonl" >"$out/summary.json" || die "cannot sum up"
    rm -f "$out/targets.json"
}

# The kinds of the square of which there is a result
measured_kinds() {
    jq -c '[.[] | select(.runs > 0).cell] as $cells | [$ARGS.positional[] as $k |
        select(any($cells[]; . == "\($k)/\($k)")) | $k]' \
        "$out/summary.json" --args "${MATRIX_KINDS[@]}"
}

draw() {
    rm -f "$out/square.svg"
    [ "$measured" != '[]' ] || return 0
    jq -r --argjson kinds "$measured" --arg date "$(date -u +%Y-%m-%d)" \
        --arg runs "$(jq 'map(.runs) | max' "$out/summary.json")" \
        -f "$here/matrix-svg.jq" "$out/summary.json" >"$out/square.svg"
}

# table cells|rows|square FILTER: of the cells that the filter leaves
table() {
    jq "$2" "$out/summary.json" | jq -r --arg view "$1" --argjson kinds "$measured" \
        --argjson markdown $markdown -f "$here/matrix-table.jq"
    echo
}

# As Markdown the square is one; the cells by themselves are those outside of it, and those short.
print_tables() {
    local outside
    outside="map(select(.cell | split(\"/\") |
        all(. as \$k | $measured | index(\$k) != null) | not))"
    if [ $markdown = true ]; then
        table rows .
        [ "$measured" = '[]' ] || table square .
        table cells "$outside"
        table cells 'map(select(.short != []))'
    else
        table cells .
        table rows .
    fi
    jq -r '"\(map(select(.short == [])) | length) of \(length) cells met their targets; " +
        "\(map(.ok) | add) of \(map(.runs) | add) runs connected"' "$out/summary.json"
}

options "$@"
choose_cells
if [ $only_list = yes ]; then
    printf '%s\n' "${cells[@]}"
    exit
fi
[ $measure = no ] || measure_all
[ -d "$out/cells" ] || die "$out holds no results"
gather
measured=$(measured_kinds)
draw
print_tables
[ $check = no ] || jq -e 'all(.short == [])' "$out/summary.json" >/dev/null
