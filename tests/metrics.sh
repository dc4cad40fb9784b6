#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The tryst authors
#
# Metrics of a real daemon: the text's format (by promtool, too, where it is installed), what moves
# with a session, HTTP with bad and slow clients; and that dashboard and alert rules name only what
# there is.
# shellcheck disable=SC2016
# shellcheck source-path=SCRIPTDIR source=daemon-lib.sh
. "$(dirname "$0")/daemon-lib.sh" || exit 1
server=$abs_top_srcdir/server

# ---- dashboard and alert rules ----

table() {
    sed -n 's/^METRIC([A-Z_]*, \([A-Z]*\), "\([^"]*\)", "\([^"]*\)".*/\2 \1 \3/p' "$server/metric.def"
}
table | awk '{ print $1; if ($2 == "HISTOGRAM") print $1 "_bucket\n" $1 "_sum\n" $1 "_count" }' |
    sort >"$TMP/known"
[ "$(wc -l <"$TMP/known")" -gt 40 ] || fail "metric.def cannot be read by this script"

# names_exist FILE LEAST: it names so many metrics, and none that there is not
names_exist() {
    grep -oE 'tryst_[a-z_]+' "$1" | sort -u >"$TMP/named"
    [ "$(wc -l <"$TMP/named")" -ge "$2" ] || fail "$1 names hardly any metric"
    comm -23 "$TMP/named" "$TMP/known" >"$TMP/out"
    check "${1##*/} names only metrics that there are" test ! -s "$TMP/out"
}
names_exist "$server/dashboard.json" 30
names_exist "$server/alerts.yml" 9

jq -e '.title == "tryst" and ([.panels[] | select(.type != "row") | .targets[].expr] | length > 30)
    and ([.panels[].id] | length == (unique | length))' "$server/dashboard.json" >"$TMP/out" ||
    fail "dashboard.json is no dashboard"
echo "ok - dashboard.json is a dashboard"
alerts=$(grep -c '^      - alert: ' "$server/alerts.yml")
check "every alert says what it is and what to do" test "$alerts" -gt 5 -a \
    "$alerts" = "$(grep -c '^          summary: .' "$server/alerts.yml")" -a \
    "$alerts" = "$(grep -c '^          action: .' "$server/alerts.yml")"

if command -v promtool >/dev/null; then
    promtool check rules "$server/alerts.yml" >"$TMP/out" 2>&1 || fail "promtool check rules"
    echo "ok - promtool: the rules"
    # The dashboard's expressions as rules, with Grafana's variables filled in.
    jq -r '"groups:\n- name: x\n  rules:", ([.panels[].targets[]?.expr] | to_entries[] |
        "  - record: x\(.key)\n    expr: \(.value | gsub("\\$instance"; "a") |
            gsub("\\$__rate_interval"; "5m") | @json)")' "$server/dashboard.json" >"$TMP/panels.yml"
    promtool check rules "$TMP/panels.yml" >"$TMP/out" 2>&1 || fail "promtool: the dashboard"
    echo "ok - promtool: the dashboard's expressions"
else
    echo "# promtool is missing (Debian package prometheus): the rules' expressions are not checked"
fi

# ---- a daemon ----

http=yes
echo 'metrics-listen = "127.0.0.1:9382"' >"$TMP/conf"
if "$TRYSTD" -c "$TMP/conf" --check-config 2>&1 | grep -q 'built without'; then
    http=no
    echo "# this trystd was built without HTTP: 'trystctl metrics' alone is tested"
fi

# start ADDRESS: serves metrics there, on the port after its own ones
start() {
    address=$1
    start_daemon -c "$TMP/conf" --registration open
}

configure() {
    port=$((base + 3))
    : >"$TMP/conf"
    [ $http = no ] || echo "metrics-listen = \"$address:$port\"" >"$TMP/conf"
}

# ask BYTES: the answer of HTTP to it, as printf has it, until the daemon ends the connection
ask() {
    timeout 30 bash -c 'exec 3<>"/dev/tcp/127.0.0.1/$1" && printf "$2" >&3 && cat <&3' \
        ask "$port" "$1" >"$TMP/answer" 2>/dev/null
}

status() {
    sed -n '1s/^HTTP\/1\.[01] \([0-9]*\).*/\1/p' "$TMP/answer"
}

# Into $TMP/metrics: by HTTP where there is that.
scrape() {
    if [ $http = yes ]; then
        ask 'GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n'
        [ "$(status)" = 200 ] || fail "no metrics on HTTP"
        sed '1,/^\r$/d' "$TMP/answer" >"$TMP/metrics"
    else
        ctl metrics >"$TMP/metrics" || fail "no metrics"
    fi
}

# value SERIES: in the last scrape
value() {
    awk -v series="$1" '{ at = index($0, " ") } substr($0, 1, at - 1) == series { print substr($0, at + 1) }' \
        "$TMP/metrics"
}

# is SERIES VALUE
is() {
    [ "$(value "$1")" = "$2" ] || {
        echo "# $1 is '$(value "$1")', not $2"
        return 1
    }
}

# The format, strictly: comments first, kinds as in the table, every series once and under its
# metric, labels as in the table, values that are numbers, buckets that rise and end in the count.
well_formed() {
    table >"$TMP/table"
    awk '
    function bad(why) { print NR ": " why ": " $0; wrong = 1 }
    FILENAME != ARGV[2] { kind[$1] = tolower($2); labels[$1] = ""; for (i = 3; i <= NF; i++) labels[$1] = labels[$1] $i; next }
    /^# HELP / { name = $3; if (!(name in kind)) bad("not in the table"); if (helped[name]++) bad("twice"); order = 1; next }
    /^# TYPE / { if ($3 != name || order != 1) bad("out of order"); if ($4 != kind[name]) bad("wrong kind"); order = 2; next }
    {
        if (order < 2) bad("no comment before")
        if (!match($0, /^[a-z_]+/)) { bad("no name"); next }
        own = substr($0, 1, RLENGTH); rest = substr($0, RLENGTH + 1); keys = ""; le = ""
        if (sub(/^\{/, "", rest)) {
            while (match(rest, /^[a-z]+="([^"\\]|\\["\\n])*",?/)) {
                label = substr(rest, 1, RLENGTH); rest = substr(rest, RLENGTH + 1)
                key = label; sub(/=.*/, "", key); keys = keys (keys == "" ? "" : ",") key
                if (key == "le") { le = label; gsub(/^le="|",?$/, "", le) }
            }
            if (!sub(/^\}/, "", rest)) bad("labels")
        }
        if (rest !~ /^ -?[0-9]+(\.[0-9]+)?(e[-+]?[0-9]+)?$/) bad("no value")
        number = substr(rest, 2) + 0
        series = $0; sub(/ [^ ]*$/, "", series)
        if (seen[series]++) bad("twice")
        seen_any[name] = 1
        if (kind[name] != "histogram") {
            if (own != name) bad("under another metric")
            if (keys != labels[name]) bad("labels are not " labels[name])
        } else if (own == name "_bucket") {
            if (keys != "le") bad("a bucket has le and nothing else")
            if (number < last[name]) bad("buckets fall")
            if (le != "+Inf" && le + 0 <= bound[name] + 0) bad("bounds do not rise")
            last[name] = number; bound[name] = le; if (le == "+Inf") whole[name] = number
        } else if (own == name "_count") {
            if (!(name in whole) || number != whole[name]) bad("the last bucket is not the count")
        } else if (own != name "_sum") bad("under another metric")
        if (kind[name] == "counter" && (own !~ /_total$/ || number < 0)) bad("no counter")
    }
    END {
        for (name in kind) if (!seen_any[name]) { print "no series of " name; wrong = 1 }
        exit wrong
    }' "$TMP/table" "$1" >"$TMP/out" || return 1
    # No more than the fixed words give.
    [ "$(grep -vc '^#' "$1")" -lt 700 ]
}

check_text() {
    check "the text is well-formed $1" well_formed "$TMP/metrics"
    if command -v promtool >/dev/null; then
        promtool check metrics <"$TMP/metrics" >"$TMP/out" 2>&1 || fail "promtool check metrics"
        check "promtool has nothing to say $1" test ! -s "$TMP/out"
    fi
}

start 127.0.0.1
scrape
check_text "at the start"
# The checker, too, is checked.
sed 's/^tryst_peers 0$/tryst_peers none/' "$TMP/metrics" >"$TMP/spoilt"
! well_formed "$TMP/spoilt" || fail "the checker takes a word for a number"
sed 's/\(tryst_loop_busy_seconds_bucket{le="1e-05"}\) .*/\1 99999999/' "$TMP/metrics" >"$TMP/spoilt"
! well_formed "$TMP/spoilt" || fail "the checker takes buckets that fall"
sed '/^tryst_peers /d' "$TMP/metrics" >"$TMP/spoilt"
! well_formed "$TMP/spoilt" || fail "the checker does not miss a metric"
sed 's/^tryst_sessions_total{outcome="connected",/&key="k",/' "$TMP/metrics" >"$TMP/spoilt"
! well_formed "$TMP/spoilt" || fail "the checker takes a label that is not in the table"
echo "ok - the checker sees mistakes"

connected='tryst_sessions_total{outcome="connected",reason="ok"}'
check "no peers yet" is tryst_peers 0
check "no sessions yet" is "$connected" 0
check "the version is told" is "tryst_build_info{version=\"$("$TRYSTD" --version | cut -d ' ' -f 2)\"}" 1
ctl metrics | sed 's/ [^ ]*$//' >"$TMP/by-ctl"
sed 's/ [^ ]*$//' "$TMP/metrics" | cmp - "$TMP/by-ctl" || fail "trystctl metrics prints other series"
echo "ok - trystctl metrics prints the same series"

# ---- with a session ----

url=$(ctl url)
export TRYST_HOME=$TMP/a
"$TRYST" -q join "$url" || fail "join"
TRYST_HOME=$TMP/b "$TRYST" -q join "$url" || fail "join"
"$TRYST" listen --name home-of-a --allow "$(TRYST_HOME=$TMP/b "$TRYST" id)" --exec cat \
    >/dev/null 2>&1 &
listener=$!
for ((i = 0; i < 200; i++)); do
    ! ctl peers home-of-a 2>/dev/null | grep -q yes || break
    sleep 0.05
done
answer=$(echo hello | TRYST_HOME=$TMP/b timeout 60 "$TRYST" -q connect home-of-a)
check "two peers meet" test "$answer" = hello
TRYST_HOME=$TMP/b timeout 60 "$TRYST" -q connect nobody 2>/dev/null
# Both results have to come in before a session ends.
for ((i = 0; i < 200; i++)); do
    scrape
    [ "$(value "$connected")" != 1 ] || [ "$(value tryst_store_pending_rows)" != 0 ] || break
    sleep 0.05
done
check_text "after a session"
check "the session is counted" is "$connected" 1
check "it has begun, too" is tryst_sessions_started_total 1
check "and is over" is tryst_sessions_active 0
check "its time is observed" is tryst_connect_seconds_count 1
check "its skew is observed" is tryst_skew_seconds_count 1
check "its NATs are counted" is 'tryst_session_pairs_total{pair="none/none",outcome="connected"}' 1
check "its family is counted" is 'tryst_session_families_total{family="ipv4",outcome="connected"}' 1
check "its SYNs are counted" test "$(value tryst_syns_total)" -ge 2
check "a peer that nobody knows is counted" is 'tryst_requests_refused_total{reason="peer-unknown"}' 1
check "handshakes are counted" test "$(value tryst_handshakes_total)" -ge 3
check "and observed" is tryst_handshake_seconds_count "$(value tryst_handshakes_total)"
check "commits are observed" test "$(value tryst_store_commit_seconds_count)" -ge 1
check "wake-ups are observed" test "$(value tryst_loop_busy_seconds_count)" -gt 10
check "the listener is a peer" test "$(value tryst_peers_listening)" -eq 1
check "it holds a descriptor" test "$(value tryst_descriptors)" -ge 4
check "memory is told" test "$(value tryst_resident_memory_bytes)" -gt 1000000
check "the processor is told" awk -v v="$(value tryst_cpu_seconds_total)" 'BEGIN { exit !(v > 0) }'
check "the store is well" is tryst_store_degraded 0

# A reload counts, and so does one that is refused.
echo 'rounds = 3' >>"$TMP/conf"
ctl reload >"$TMP/out" || fail "reload"
scrape
check "a reload is counted" is 'tryst_reloads_total{result="applied"}' 1
check "nothing waits for a restart" is tryst_restart_pending 0
echo 'handshake-threads = 3' >>"$TMP/conf"
ctl reload >"$TMP/out" || fail "reload"
scrape
check "an option waits for a restart" is tryst_restart_pending 1
cp "$TMP/conf" "$TMP/good"
echo 'rounds = many' >>"$TMP/conf"
! ctl reload >"$TMP/out" 2>&1 || fail "a mistake is taken"
scrape
check "a refusal is counted" is 'tryst_reloads_total{result="refused"}' 1
check "and stands" is tryst_reload_failed 1
mv "$TMP/good" "$TMP/conf"
ctl reload >"$TMP/out" || fail "reload"
scrape
check "until the next reload" is tryst_reload_failed 0

# No key, no name, no address.
for text in home-of-a 127.0.0.1 "$("$TRYST" id)" "$(TRYST_HOME=$TMP/b "$TRYST" id)"; do
    ! grep -qF -e "$text" "$TMP/metrics" || fail "the metrics tell $text"
done
echo "ok - nobody is named"

[ $http = yes ] || exit 0

# ---- bad requests ----

# answers STATUS BYTES
answers() {
    ask "$2"
    [ "$(status)" = "$1" ] || fail "${2:0:60}: status '$(status)', not $1"
    echo "ok - $1 for ${2:0:60}"
}

answers 200 'GET /metrics HTTP/1.0\r\n\r\n'
answers 200 'GET /metrics?name=x HTTP/1.1\r\nHost: x\r\n\r\n'
grep -qi '^content-type: text/plain; version=0.0.4' "$TMP/answer" || fail "content type"
answers 200 'HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n'
check "a HEAD has no body" test "$(sed '1,/^\r$/d' "$TMP/answer" | wc -c)" -eq 0
answers 404 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'
answers 404 'GET /metrics/ HTTP/1.1\r\nHost: x\r\n\r\n'
answers 404 'GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n'
answers 405 'POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n'
grep -qi '^allow: GET, HEAD' "$TMP/answer" || fail "a 405 without Allow"
answers 405 'DELETE /metrics HTTP/1.1\r\nHost: x\r\n\r\n'
answers 405 'BREW /metrics HTTP/1.1\r\nHost: x\r\n\r\n'
# One request on a connection. The second one of a pair may come after its end, whose reset then
# takes the first answer away, too.
ask 'GET /metrics HTTP/1.1\r\nHost: x\r\n\r\nGET /metrics HTTP/1.1\r\nHost: x\r\n\r\n'
check "one request on a connection" test "$(grep -c '^HTTP/1' "$TMP/answer")" -le 1
# What is no request gets an error or nothing; the connection ends either way.
long=$(head -c 100000 /dev/zero | tr '\0' a)
for bytes in 'no request\r\n\r\n' "POST /metrics HTTP/1.1\r\nContent-Length: 100000\r\n\r\n$long" '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n' \
    "GET /$long HTTP/1.1\r\nHost: x\r\n\r\n" "GET /metrics HTTP/1.1\r\nx: $long\r\n\r\n" \
    'GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n'; do
    ask "$bytes"
    case $(status) in
    '' | 4?? | 505) ;;
    *) fail "${bytes:0:40}: status $(status)" ;;
    esac
done
scrape
echo "ok - what is no request is turned away"

# ---- slow clients ----

slow=()
for ((i = 0; i < 60; i++)); do
    exec {fd}<>"/dev/tcp/127.0.0.1/$port" || fail "cannot connect"
    [ $((i % 2)) = 0 ] || printf 'GET /metr' >&"$fd"
    slow+=("$fd")
done
scrape
check "sixty slow clients do not disturb" is "$connected" 1
ctl status >"$TMP/out" || fail "slow clients disturb the admin socket"
timeout 30 cat <&"${slow[0]}" >/dev/null
check "the oldest of them makes room" test $? -eq 0
printf 'ics HTTP/1.1\r\nHost: x\r\n\r\n' >&"${slow[59]}"
timeout 30 cat <&"${slow[59]}" >"$TMP/answer"
check "a slow one that is served in the end" test "$(status)" = 200
for fd in "${slow[@]}"; do exec {fd}>&-; done
# Many at once are all answered.
for ((i = 0; i < 16; i++)); do
    timeout 30 bash -c 'exec 3<>"/dev/tcp/127.0.0.1/$1" &&
        printf "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" >&3 && head -n 1 <&3' many "$port" \
        >"$TMP/many.$i" 2>/dev/null &
    many[i]=$!
done
wait "${many[@]}"
check "sixteen at once" test "$(cat "$TMP"/many.* | grep -c '^HTTP/1.1 200')" -eq 16

# ---- where it listens ----

kill "$listener"
wait "$listener" 2>/dev/null
listener=
"$TRYSTD" -c "$TMP/conf" --state-dir "$TMP/state-2" --admin-socket "$TMP/admin-2.sock" \
    --listen 127.0.0.1 --port $((port + 1)) --port $((port + 2)) --port $((port + 4)) \
    >"$TMP/out" 2>&1
check "an address in use ends the start" test $? -eq 2
check "and says so" grep -q "metrics: cannot listen on 127.0.0.1:$port: Address already in use" "$TMP/out"
end_daemon
check "loopback: no warning" test "$(grep -c 'metrics can be read' "$TMP/log")" -eq 0
start 0.0.0.0
check "any address: a warning" grep -q "warning: metrics can be read by whoever reaches 0.0.0.0:" "$TMP/log"
scrape
check "and it serves there" is tryst_peers 0
end_daemon

for bad in 127.0.0.1 localhost:9382 127.0.0.1:0 127.0.0.1:70000 '[::1]' :9382 "x'y"; do
    printf 'metrics-listen = "%s"\n' "$bad" >"$TMP/conf"
    "$TRYSTD" -c "$TMP/conf" --check-config >"$TMP/out" 2>&1
    check "metrics-listen = $bad is refused" test $? -eq 1
    grep -q "conf:1: .*127.0.0.1:9382 or \[::1\]:9382 would be right" "$TMP/out" || fail "no advice"
done
