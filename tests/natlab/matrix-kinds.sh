# shellcheck shell=bash
# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The tryst authors
#
# The matrix's kinds of NAT, its cells, and what each cell has to reach (sourced by matrix.sh and
# matrix-cell.sh). A kind is a word, and for kinds that natbox plays, modifiers after colons:
#
#   public, linux-drop, linux-rst, cgn-double, v6-firewall, eim, preserve   as in lib_net.sh
#   offset                     a constant offset: the same port for all destinations
#   preserve-apdm, offset-apdm the same for the first destination, the next free port for others
#   icmp                       preserve, and stray SYNs are answered by ICMP
#   counter+N, counter-N       a mapping per address and port, ports count by N
#   adm-counter, adm-preserve  a mapping per address
#   blockN                     a mapping per address and port, random in a block of N of one's own
#   random                     a mapping per address and port, random in 1024-65535
#   :N                         N foreign allocations a second
#   :eif, :adf                 a lenient filter (the rest is APDF)
#   :rst, :icmp                what stray SYNs get; a mapping that only got such an answer is gone
#   :nso                       refuses simultaneous open
#   :far                       80 ms between host and NAT
#   :hairpin                   hairpins
#
# A cell is KIND/KIND; hosts/KIND is two hosts behind one NAT, homes/KIND two homes behind one
# carrier's.

# shellcheck disable=SC2034 # for matrix.sh
MATRIX_KINDS=(public linux-drop linux-rst cgn-double eim preserve offset v6-firewall icmp
    counter+1 counter+2 counter-1 counter+1:20 counter+1:200 adm-counter adm-preserve
    block512 block2048 random random:adf random:eif)

# kind_modifier KIND-OF-SITE MODIFIER: its option
kind_modifier() {
    case $2 in
    eif | adf) echo "--filtering $2" ;;
    rst | silence) echo "--refusal $2" ;;
    icmp) echo "--refusal icmp --icmp-kills-mapping yes" ;;
    nso) echo "--refuse-simultaneous-open" ;;
    hairpin) echo "--hairpin yes" ;;
    '' | *[!0-9]*) return 1 ;;
    *) echo "--foreign $2" ;;
    esac
}

# kind_base WORD: the kind of site, and natbox's options
kind_base() {
    case $1 in
    public | linux-drop | linux-rst | cgn-double | v6-firewall | eim | preserve | random)
        echo "$1"
        ;;
    offset) echo "offset --overload" ;;
    offset-apdm) echo offset ;;
    preserve-apdm) echo "natbox --mapping apdm --allocation preserve" ;;
    icmp) echo "preserve --refusal icmp" ;;
    counter+[1-9]*) echo "counter --allocation counter:${1#counter+}" ;;
    counter-[1-9]*) echo "counter --allocation counter:${1#counter}" ;;
    adm-counter) echo "adm --allocation counter:1" ;;
    adm-preserve) echo "adm --allocation preserve" ;;
    block[1-9]*) echo "block --allocation block:${1#block}" ;;
    *) return 1 ;;
    esac
}

kind_is_natbox() {
    case ${1%%:*} in
    public | linux-* | cgn-double | v6-firewall) return 1 ;;
    esac
}

# kind_site KIND: the words that lab_site wants after the name and the delay
kind_site() {
    local base options modifier site="" far="" list=()
    base=$(kind_base "${1%%:*}") || return
    [[ $1 != *:* ]] || IFS=: read -ra list <<<"${1#*:}"
    [ ${#list[@]} -eq 0 ] || kind_is_natbox "$1" || return
    for modifier in "${list[@]}"; do
        [ "$modifier" != far ] || { far="--far 80" && continue; }
        options=$(kind_modifier "$base" "$modifier") || return
        site+=" $options"
    done
    options=${base#"${base%% *}"}
    echo "${base%% *} $far$options$site"
}

# kind_block KIND: how many ports a subscriber's block has, 0: no block
kind_block() {
    local word=${1%%:*}
    case $word in
    block*) echo "${word#block}" ;;
    *) echo 0 ;;
    esac
}

# kind_class KIND: what its chances depend on
kind_class() {
    case $1 in
    *:eif* | *:adf*) echo lenient ;;
    counter*:[0-9][0-9][0-9]*) echo busy ;;
    counter* | *-apdm) echo counter ;; # from a known start
    adm-*) echo adm ;;
    block*) echo block ;;
    random*) echo random ;;
    *) echo fixed ;;
    esac
}

# Runs that leave hundreds of mappings behind get new NATs each time.
cell_is_fresh() {
    case "$(kind_class "$1") $(kind_class "$2")" in
    *block* | *random* | *lenient*) ;;
    *) false ;;
    esac
}

# cell_target KIND KIND: what the cell has to reach, as JSON. `rate` of successes, `within` seconds
# (the median of the time to the proven connection), `prompt`: without waiting for a SYN sent again,
# `stated`: as often as said before, or refused at once, `floor`: and said to be at least that,
# `refused`: at once and with this reason. `row` is the group that the cell is summed up in.
cell_target() {
    local target row
    IFS=$'\t' read -r row target <<<"$(class_target "$1" "$2")"
    case $1/$2 in
    *:far*) row="far carrier" target='"rate":1,"within":1.5' ;;
    hosts/* | homes/*) row="one NAT for both" target='"rate":1,"within":1' ;;
    *:nso*) row="one refuses simultaneous open" ;;
    *:rst* | *:icmp*) row="refusals by RST or ICMP" ;;
    esac
    echo "{\"row\":\"$row\",$target}"
}

# class_target KIND KIND: row and target of two kinds, without regard to refusals and the like
class_target() {
    local row
    row=$(printf '%s\n' "$(kind_class "$1")" "$(kind_class "$2")" | sort | xargs)
    row=${row/ / x }
    case $row in
    *lenient*) printf 'lenient filter x any\t"rate":1,"within":1' ;;
    "fixed x fixed") printf '%s\t"rate":1,"prompt":true' "$row" ;;
    "counter x fixed") printf '%s\t"rate":1,"within":1' "$row" ;;
    "counter x counter") printf '%s\t"rate":0.95,"within":1.5' "$row" ;;
    "adm x busy" | "busy x "[bcf]*)
        printf 'busy x fixed, counter, adm, busy\t"rate":0.9,"within":4'
        ;;
    "adm x "[acf]*) printf 'adm x fixed, counter, adm\t"rate":0.95,"within":1.5' ;;
    "fixed x random") printf '%s\t"rate":0.95,"within":6' "$row" ;;
    "block x fixed") printf '%s\t"rate":1,"within":1.5' "$row" ;;
    "block x counter" | "block x block") block_target "$row" "${1%%:*}/${2%%:*}" ;;
    "random x random") printf '%s\t"refused":"both-random"' "$row" ;;
    *) printf 'others\t"stated":true' ;;
    esac
}

# block_target ROW BASE/BASE: a floor where blocks are of 512
block_target() {
    case $1/$2 in
    *block2048*) printf '%s (2048)\t"stated":true,"within":3' "$1" ;;
    "block x counter"*) printf '%s\t"stated":true,"floor":0.45,"within":3' "$1" ;;
    *) printf '%s\t"stated":true,"floor":0.2,"within":3' "$1" ;;
    esac
}

# square_cells KIND...: each kind with itself and with all before it
square_cells() {
    local i j kinds=("$@")
    for ((i = 0; i < ${#kinds[@]}; i++)); do
        for ((j = 0; j <= i; j++)); do
            echo "${kinds[i]}/${kinds[j]}"
        done
    done
}

# What is not a square: refusals, far carriers, one NAT for both.
special_cells() {
    local a b refusal far=()
    for b in public linux-drop linux-rst cgn-double eim preserve offset icmp counter+1 \
        counter+1:20 adm-counter block512 random; do
        echo "preserve:nso/$b"
    done
    for b in linux-drop linux-rst counter+1 adm-counter block512; do
        echo "counter+1:nso/$b"
    done
    for b in linux-drop linux-rst; do
        echo "random:nso/$b"
    done

    for a in preserve-apdm offset-apdm; do
        for b in public linux-drop linux-rst eim "$a" counter+1 counter+1:20 adm-counter \
            block512; do
            echo "$a/$b"
        done
    done

    for refusal in rst icmp; do
        for a in preserve eim offset counter+1 counter+1:20 adm-counter block512 random; do
            for b in linux-drop linux-rst "preserve:$refusal"; do
                echo "$a:$refusal/$b"
            done
        done
        for a in counter+1 adm-counter; do
            echo "$a:$refusal/counter+1:$refusal"
        done
        echo "counter+1:200:$refusal/counter+1:200:$refusal"
        echo "random:eif:$refusal/linux-rst"
        echo "random:eif:$refusal/counter+1:$refusal"
    done
    echo counter+1:rst/counter+1:icmp
    echo counter+1:rst/counter+1

    for refusal in silence rst icmp; do
        far+=("eim:far:$refusal")
        for b in linux-drop linux-rst icmp "eim:$refusal"; do
            echo "eim:far:$refusal/$b"
        done
    done
    square_cells "${far[@]}"

    for a in hosts homes; do
        for b in preserve eim counter+1; do
            echo "$a/$b"
            echo "$a/$b:hairpin"
        done
    done
    echo hosts/linux-drop
    echo hosts/linux-rst
}
