#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The tryst authors
#
# libtryst exports what tryst.h declares: all of it, and nothing else.
set -eu

: "${abs_top_builddir:?}" "${abs_top_srcdir:?}"
library=$abs_top_builddir/.libs/libtryst.so
[ -e "$library" ] || {
    echo "no shared library in this build"
    exit 77
}

declared=$(grep -v '^#' "$abs_top_srcdir/client-stub/tryst.h" | tr '\n' ' ' | grep -o 'TRYST_API [^;(]*(' |
    sed 's/ *($//; s/.*[ *]//' | sort)
exported=$(nm -D --defined-only "$library" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | sort)

[ -n "$declared" ] || {
    echo "no declaration found in tryst.h"
    exit 1
}
diff <(echo "$declared") <(echo "$exported") || {
    echo "< declared in tryst.h, > exported by libtryst.so"
    exit 1
}
