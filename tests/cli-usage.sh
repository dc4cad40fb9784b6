#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The tryst authors
#
# Wrong use of tryst is told apart and explained; manual page, completion and help name the same options.
# shellcheck source-path=SCRIPTDIR source=cli-lib.sh
. "$(dirname "$0")/cli-lib.sh" || exit 1
: "${abs_top_srcdir:=$(dirname "$0")/..}"

commands="join connect listen check id peers keygen help"

complains 1 "^usage: tryst COMMAND"
complains 1 "did you mean connect" conect x
complains 1 "no such command: frobnicate$" frobnicate
complains 1 "did you mean --allow" listen --alow x
complains 1 "no such option: -z" connect -z x
complains 1 "usage: tryst connect" connect
complains 1 "too many" connect a b
complains 1 "too many" check a b
complains 1 "neither a peer's name nor a key" check 'no/such name'
complains 1 "too many" id x
complains 1 "too many" listen x
complains 1 "neither a peer's name nor a key" connect 'no/such name'
complains 1 "1 to 512" connect --budget 0 x
complains 1 "0 to 600" connect --timeout soon x
complains 1 "needs a value: HOST:PORT" listen --forward
complains 1 "not HOST:PORT" listen --forward 22
complains 1 "cannot be given together" listen --forward 127.0.0.1:22 --exec cat
complains 1 "no such option: --verson" --verson
complains 1 "did you mean listen" help listn
complains 1 "usage: tryst peers" peers forget
complains 1 "usage: tryst peers" peers rename a b

run 0 --version
check "the version" grep -qE '^tryst [0-9]+\.[0-9]+\.[0-9]+$' "$TMP/out"
run 0 --help
for command in $commands; do
    check "help lists $command" grep -qE "^  $command " "$TMP/out"
done

# Both ways to ask give the same answer.
manual=$abs_top_srcdir/client-stub/tryst.1 completion=$abs_top_srcdir/client-stub/tryst.bash
for command in $commands; do
    run 0 help "$command"
    mv "$TMP/out" "$TMP/help"
    [ "$command" = help ] || {
        run 0 "$command" --help
        check "$command --help" cmp -s "$TMP/help" "$TMP/out"
    }
    check "the manual has $command" grep -qE "^\.(It )?Cm $command" "$manual"
    while read -r option; do
        grep -qE "Fl (. , )?${option#-}( |$)|^\.Pq Fl ${option#-}$" "$manual" || fail "the manual lacks $option"
        (
            # shellcheck source=/dev/null
            . "$completion"
            [[ " $(_tryst_options "$command") " == *" $option "* ]]
        ) || fail "the completion of $command lacks $option"
    done < <(grep -oE '^  (-.,|   ) --[a-z-]+' "$TMP/help" | grep -oE -e '--[a-z-]+')
    echo "ok - manual and completion have the options of $command"
done

# Neither output that cannot be written nor closed standard descriptors go wrong in silence.
if [ -e /dev/full ]; then
    "$TRYST" help >/dev/full 2>"$TMP/err"
    same "a full disk is an error" 1 $?
fi
"$TRYST" id <&- >&- 2>&-
same "closed standard descriptors" 1 $?
