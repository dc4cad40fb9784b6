#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The tryst authors
#
# The server's manuals, sample configuration and completion say what the tables say: every option
# with its default and range, every command with what it takes, every view of the database.
set -u
: "${abs_top_srcdir:=$(cd "$(dirname "$0")/.." && pwd)}"
: "${abs_top_builddir:=$abs_top_srcdir/build}"
: "${TRYSTD:=$abs_top_builddir/trystd}" "${TRYSTCTL:=$abs_top_builddir/trystctl}"
server=$abs_top_srcdir/server
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
bad=0

complain() {
    echo "not ok - $*"
    bad=1
}

# holds FILE TEXT: the text stands there as it is
holds() {
    grep -qF -e "$2" "$1" || complain "${1##*/} does not say: $2"
}

options() {
    sed -n 's/^OPTION(\([A-Z]*\), "\([^"]*\)".*/\1 \2/p' "$server/options.def"
}

# ---- options ----

"$TRYSTD" --print-config >"$tmp/defaults" || complain "trystd --print-config fails"
count=0
while read -r kind name; do
    count=$((count + 1))
    default=$(sed -n "s/^$name = //p" "$tmp/defaults")
    plain=${default//\"/}
    line="$name = $plain"
    holds "$server/trystd.conf.5" ".It Ic \"${line% }\""
    holds "$server/trystd.conf" "#$name = $default"

    # The range, in the words of the complaint about a value that is none.
    case $kind in
    INT | MSEC | SEC)
        echo "$name = none" >"$tmp/wrong"
        range=$("$TRYSTD" -c "$tmp/wrong" --check-config 2>&1 |
            sed -n 's/.*; \(.* to .*\) would be right$/\1/p')
        [ -n "$range" ] || complain "$name: no range in the complaint about a wrong value"
        section=$(sed -n "/^.It Ic \"$name = /,/^.It Ic \"/p" "$server/trystd.conf.5")
        case $section in
        *"$range"*) ;;
        *) complain "trystd.conf.5 does not give the range of $name: $range" ;;
        esac
        ;;
    esac
done < <(options)
[ $count -gt 10 ] || complain "options.def cannot be read by this script"
echo "ok - $count options"

# The manual names those that need a restart.
restart=$(sed -n '/^.Sh RELOAD/,/^.Sh /p' "$server/trystd.conf.5" | sed -n 's/^.Ic //p' | tr -d ' ,\n')
wanted=$(sed -n 's/^OPTION([A-Z]*, "\([^"]*\)".*, RESTART, .*/\1/p' "$server/options.def" | tr -d '\n')
[ "$restart" = "$wanted" ] || complain "trystd.conf.5 on restarts says $restart, not $wanted"

# The sample, with all of its defaults in force, is the default configuration.
sed 's/^#\([a-z]\)/\1/' "$server/trystd.conf" >"$tmp/sample"
"$TRYSTD" -c "$tmp/sample" --print-config >"$tmp/printed" ||
    complain "the sample is no configuration"
cmp -s <(grep -v '^#' "$tmp/defaults") <(grep -v '^#' "$tmp/printed") ||
    complain "the sample's values are not the defaults"
"$TRYSTD" -c "$server/trystd.conf" --check-config || complain "the sample as it is has mistakes"

# ---- commands ----

count=0
while read -r name; do
    count=$((count + 1))
    # A long synopsis goes over several lines, the first of which is ".It Xo".
    sed 'N;s/^\.It Xo\n\./.It /;P;D' "$server/trystctl.1" | grep -qE "^\.It Ic $name( |\$)" ||
        complain "trystctl.1 lacks $name"
    grep -qE "^_trystctl_commands=.*[\" ]${name}[\" ]" "$server/trystctl.bash" ||
        complain "the completion lacks $name"
    "$TRYSTCTL" --help | grep -qE "^  $name( |\$)" || complain "trystctl --help lacks $name"
    "$TRYSTCTL" "$name" --help | grep -qE "^usage: trystctl $name" || complain "$name has no help"
done < <(sed -n 's/^COMMAND([A-Z_]*, [A-Z]*, "\([^"]*\)".*/\1/p' "$server/admin.def")
[ $count -gt 5 ] || complain "admin.def cannot be read by this script"
while read -r name; do
    holds "$server/trystctl.1" "Fl -$name"
    holds "$server/trystctl.bash" "--$name"
done < <(sed -n 's/^ARG(\(FLAG\|TEXT\|NUMBER\), "\([^"]*\)".*/\2/p' "$server/admin.def" | sort -u)
echo "ok - $count commands"

# ---- live events ----

count=0
while read -r kind; do
    count=$((count + 1))
    holds "$server/trystctl.1" ".It Ql $kind"
done < <(sed -n 's/^EVENT("\([^"]*\)".*/\1/p' "$server/event.def")
[ $count -gt 10 ] || complain "event.def cannot be read by this script"
while read -r kind; do
    grep -q "^EVENT(\"$kind\"" "$server/event.def" || complain "event.def lacks $kind"
done < <(grep -hoE '(admin_publish|dispatch_tell_operator)\([^;"]*"[a-z-]+"' "$server"/*.c | sed 's/.*"\(.*\)"/\1/')
echo "ok - $count kinds of events"

# ---- metrics ----

count=0
while IFS=$'\t' read -r name kind help; do
    count=$((count + 1))
    holds "$server/tryst-metrics.7" ".It Sy \"$name\" Pq ${kind,,}"
    holds "$server/tryst-metrics.7" "$help."
done < <(sed -n 's/^METRIC([A-Z_]*, \([A-Z]*\), "\([^"]*\)", "[^"]*", "\([^"]*\)").*/\2\t\1\t\3/p' "$server/metric.def")
[ $count -gt 20 ] || complain "metric.def cannot be read by this script"
[ "$count" = "$(grep -c '^\.It Sy "tryst_' "$server/tryst-metrics.7")" ] ||
    complain "tryst-metrics.7 has metrics that there are not"
echo "ok - $count metrics"

# ---- the daemon's own options, and the views ----

count=0
for name in $("$TRYSTD" --help | grep -oE -e '--[a-z-]+' | sort -u); do
    count=$((count + 1))
    holds "$server/trystd.8" "Fl ${name#-}"
done
[ $count -gt 5 ] || complain "trystd --help lists no options"
while read -r view; do
    holds "$server/trystd.8" ".It Sy $view"
done < <(sed -n 's/.*CREATE VIEW \([a-z_]*\).*/\1/p' "$server/store_schema.c")
echo "ok - $count options of the command line"
exit $bad
