#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The tryst authors
#
# The packages in a clean Debian root, under a real systemd as PID 1:
#   root.sh PACKAGES CACHE
# PACKAGES is where build-aux/deb left them, with the next version in PACKAGES/next; CACHE keeps the
# root's tarball from one run to the next. Needs root: debootstrap makes the root, systemd-nspawn boots
# it in a network of its own, nsenter runs the commands in it. "./bootstrap deb-test" does it all.
# shellcheck disable=SC2016 # fields of awk, apt and dpkg, not the shell's
set -u
export LC_ALL=C
packages=$(realpath "${1:?where are the packages?}")
cache=$(realpath "${2:?where is the cache?}")
. /etc/os-release
: "${VERSION_CODENAME:?only on Debian}"
root='' nspawn='' leader='' listener='' log='' passed=0

# ---- what a test says ----

note() {
    echo "# $*"
}

fail() {
    echo "not ok - $*"
    [ ! -e "$log" ] || tail -n 20 "$log" | sed 's/^/# output: /'
    [ -z "$leader" ] || inside journalctl -u trystd --no-pager -n 20 | sed 's/^/# journal: /'
    exit 1
}

ok() {
    passed=$((passed + 1))
    echo "ok - $*"
}

# check WHAT COMMAND...
check() {
    local what=$1
    shift
    "$@" >"$log" 2>&1 || fail "$what (failed: $*)"
    ok "$what"
}

same() {
    [ "$2" = "$3" ] || fail "$1: wanted '$2', got '$3'"
    ok "$1"
}

# until_true COMMAND...: waits for what another process brings about, a minute at most
until_true() {
    local turn
    for ((turn = 0; turn < 600; turn++)); do
        ! "$@" >/dev/null 2>&1 || return 0
        sleep 0.1
    done
    return 1
}

# ---- the root ----

# Where this machine's own apt gets this release from.
mirror() {
        apt-get indextargets --format '$(CODENAME) $(REPO_URI)' 'Created-By: Packages' |
        awk -v release="$VERSION_CODENAME" '$1 == release { print $2; exit }'
}

make_tarball() {
    local fresh=$cache/debian-root.$$
    note "making a root of $PRETTY_NAME (once)"
    debootstrap --variant=minbase --include=systemd,systemd-sysv "$VERSION_CODENAME" "$fresh" \
        "$(mirror)" >"$cache/debootstrap.log" 2>&1 || {
        tail -n 5 "$cache/debootstrap.log"
        rm -rf "$fresh"
        fail "debootstrap"
    }
    tar -C "$fresh" -cf "$fresh.tar" . && mv "$fresh.tar" "$tarball"
    rm -rf "$fresh"
}

unpack_root() {
    tarball=$cache/debian-root-$VERSION_CODENAME.tar
    mkdir -p "$cache"
    [ -e "$tarball" ] || make_tarball
    root=$(mktemp -d "$cache/root.XXXXXX") || exit 1
    log=$root/test.log
    tar -C "$root" -xf "$tarball" || fail "the root's tarball $tarball"
    mkdir -p "$root/packages/next"
    cp "$packages"/*.deb "$root/packages/"
    cp "$packages"/next/*.deb "$root/packages/next/"
    rm -f "$root"/packages/*-dbgsym_* "$root"/packages/next/*-dbgsym_*
}

# The booted root has no way out, so that it harms no other service here: what the packages depend on
# is fetched before.
fetch_dependencies() {
    cp /etc/resolv.conf "$root/etc/resolv.conf"
    chroot "$root" sh -c 'apt-get -q update &&
        apt-get -q install -y --no-install-recommends --download-only /packages/*.deb' >"$log" 2>&1 ||
        fail "the packages' dependencies are to be had"
}

# ---- the machine ----

inside() {
    nsenter --target "$leader" --mount --uts --ipc --net --pid --cgroup -- \
        env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin TERM=dumb DEBIAN_FRONTEND=noninteractive "$@"
}

# systemd as a child of systemd-nspawn
find_leader() {
    local pid children
    read -ra children <"/proc/$nspawn/task/$nspawn/children"
    for pid in "${children[@]}"; do
        [ "$(cat "/proc/$pid/comm")" = systemd ] && leader=$pid && return
    done
    return 1
}

# is-system-running is "degraded" where a unit of Debian's own cannot do its work in a container.
booted() {
    case $(inside systemctl is-system-running) in
    running | degraded) ;;
    *) return 1 ;;
    esac
}

boot() {
    # --keep-unit, --register=no: as a plain child, on a machine without a service manager, too.
    systemd-nspawn --directory="$root" --boot --private-network --register=no --keep-unit \
        </dev/null >"$root/console.log" 2>&1 &
    nspawn=$!
    until_true find_leader && until_true booted || {
        tail -n 20 "$root/console.log" | sed 's/^/# console: /'
        fail "systemd boots in systemd-nspawn on this machine"
    }
    inside ip link set lo up 2>/dev/null || true
}

# nsenter stops when systemd, on its way down, stops its child, and would hold the machine up for ever.
cleanup() {
    [ -z "$listener" ] || pkill -KILL -P "$listener"
    [ -z "$nspawn" ] || { kill "$nspawn" && wait "$nspawn"; } 2>/dev/null
    [ -z "$root" ] || rm -rf --one-file-system "$root"
}
trap cleanup EXIT

# ---- questions to it ----

ctl() {
    inside trystctl "$@"
}

client() {
    local home=/home/$1
    shift
    inside env TRYST_HOME="$home" tryst "$@"
}

property() {
    inside systemctl show --property "$1" --value "${2-trystd.service}"
}

# field NAME: of the daemon's /proc/PID/status, as the kernel has it in force
field() {
    inside sed -n "s/^$1:[[:space:]]*//p" "/proc/$(property MainPID)/status"
}

install_packages() {
    inside sh -c "apt-get -q install -y --no-install-recommends $*"
}

registered() {
    ctl peers "$1" | grep -q yes
}

listen() {
    client bert listen --allow "$(client anna id)" --exec cat >"$root/listener.log" 2>&1 &
    listener=$!
}

meet() {
    [ "$(echo "hello, bert" | client anna -q connect bert)" = "hello, bert" ]
}

sessions() {
    ctl --json sessions --limit 100 | grep -o '"state":"connected"' | wc -l
}

# ---- the steps ----

installs() {
    check "the packages install with their dependencies" install_packages "/packages/*.deb"
    check "the service runs" inside systemctl is-active trystd.service
    check "and will after a boot" inside systemctl is-enabled trystd.service
    check "it says what it does: $(property StatusText)" test -n "$(property StatusText)"
    check "the manual pages are there" inside test -e /usr/share/man/man8/trystd.8.gz
}

# What the unit asks for, seen from the kernel's side.
sandboxed() {
    check "it is not root" test "$(field Uid | cut -f 1)" != 0
    same "no capability is in force" 0000000000000000 "$(field CapEff)"
    same "none can be had" 0000000000000000 "$(field CapBnd)"
    same "nor new privileges" 1 "$(field NoNewPrivs)"
    same "system calls are filtered" 2 "$(field Seccomp)"
    same "it has the descriptors that the unit asks for and this machine allows" \
        "$(least "$(property LimitNOFILE)" "$(descriptors "$leader")")" "$(descriptors "$(main_pid)")"
    check "its file system is read-only" test -n "$(daemon_mount /usr | grep -w ro)"
    check "but for its state" test -n "$(daemon_mount /var/lib/private/tryst | grep -w rw)"
    check "it sees no home" test -z "$(inside ls "/proc/$(property MainPID)/root/home")"
    note "systemd did not apply: $(inside journalctl --no-pager -q -b -p warning |
        grep -iE 'trystd.*(ignoring|not supported|proceeding without)' | sort -u | tr '\n' ';')"
    note "memory: MemoryMax=$(property MemoryMax), in force: $(memory_limit)"
}

# The daemon, as this side of the namespace numbers it.
main_pid() {
    awk -v inner="$(property MainPID)" '$1 == "NSpid:" && $NF == inner && NF > 2 {
        split(FILENAME, part, "/")
        print part[3]
    }' /proc/[0-9]*/status 2>/dev/null | while read -r pid; do
        [ "$(readlink "/proc/$pid/ns/pid")" != "$(readlink "/proc/$leader/ns/pid")" ] || echo "$pid"
    done
}

# descriptors PID: as many as it may have
descriptors() {
    awk '/^Max open files/ { print $5 }' "/proc/$1/limits"
}

least() {
    echo $(($1 < $2 ? $1 : $2))
}

# daemon_mount DIRECTORY: the options of the mount that holds it, in the daemon's own view
daemon_mount() {
    inside nsenter --target "$(property MainPID)" --mount findmnt -n -o OPTIONS --target "$1"
}

memory_limit() {
    local group
    group=$(property ControlGroup)
    inside sh -c "cat /sys/fs/cgroup$group/memory.max /sys/fs/cgroup/memory$group/memory.limit_in_bytes \
        2>/dev/null" | grep . || echo "not seen in its control group"
}

serves() {
    check "an operator sets an option" inside sed -i 's/^#public-host = .*/public-host = "127.0.0.1"/' \
        /etc/tryst/trystd.conf
    check "the configuration is checked" inside trystd -c /etc/tryst/trystd.conf --check-config
    check "a restart takes it up" inside systemctl restart trystd.service
    url=$(ctl url)
    check "the server URL: an address of ours" grep -q @127.0.0.1: <<<"$url"
    check "a peer joins by an invite" client anna -q join "$(ctl invite --name anna)"
    check "and another" client bert -q join "$(ctl invite --name bert)"
    listen
    check "the second one registers" until_true registered bert
    check "they meet" meet
    same "the session is recorded" 1 "$(sessions)"
}

reloads() {
    local before
    before=$(property MainPID)
    inside sed -i 's/^#log-level = .*/log-level = debug/' /etc/tryst/trystd.conf
    check "it is reloaded" inside systemctl reload trystd.service
    same "an option is in force" debug "$(ctl log-level)"
    inside sed -i 's/^log-level = .*/log-level = loud/' /etc/tryst/trystd.conf
    inside systemctl reload trystd.service >/dev/null 2>&1
    check "a bad file is refused in the log" until_true refused_in_log
    same "the old configuration stays" debug "$(ctl log-level)"
    inside sed -i 's/^log-level = .*/log-level = info/' /etc/tryst/trystd.conf
    check "a good one is taken again" inside systemctl reload trystd.service
    same "by the same process" "$before" "$(property MainPID)"
    check "no peer was dropped" registered bert
}

refused_in_log() {
    inside journalctl --no-pager -u trystd | grep -q 'trystd.conf:[0-9]*:.*log-level'
}

drains() {
    check "it is drained" ctl drain
    check "the service is up again, or is started" until_true up_again
    check "the peer came back" until_true registered bert
}

up_again() {
    inside systemctl start trystd.service && ctl status
}

restarts() {
    local before
    before=$(property MainPID)
    check "it is restarted" inside systemctl restart trystd.service
    check "by another process" test "$before" != "$(property MainPID)"
    check "the peer comes back by itself" until_true registered bert
    check "and is met" meet
}

# With trystd.socket the ports outlive the daemon. bert keeps calling by itself, and that alone starts
# it: asking trystctl starts nothing.
activates() {
    check "it is stopped" inside systemctl stop trystd.service
    check "its sockets are handed to systemd" inside systemctl enable --now trystd.socket
    check "the call of a peer starts it" until_true registered bert
    check "and is met" meet
    check "it is stopped again" inside systemctl stop trystd.service
    check "a connection is accepted meanwhile" inside bash -c ': </dev/tcp/127.0.0.1/5382'
    check "and served" until_true registered bert
}

upgrades() {
    local before peers count
    peers=$(ctl peers --all | awk '{ print $1, $2 }' | sort)
    count=$(sessions)
    before=$(property MainPID)
    invite=$(ctl invite --name carl)
    check "the next version installs over it" install_packages "/packages/next/*.deb"
    same "it is the next version" "$(next_version)" \
        "$(inside dpkg-query -W -f '${Version}' trystd)"
    check "the service runs" inside systemctl is-active trystd.service
    check "a new process" test "$before" != "$(property MainPID)"
    same "the key survives" "$url" "$(ctl url)"
    same "the registrations" "$peers" "$(ctl peers --all | awk '{ print $1, $2 }' | sort)"
    same "the sessions" "$count" "$(sessions)"
    check "an invite" client carl -q join "$invite"
    check "the operator's options" inside grep -q '^public-host = "127.0.0.1"' /etc/tryst/trystd.conf
    check "the peer comes back" until_true registered bert
    check "and is met" meet
}

next_version() {
    dpkg-deb -f "$(ls "$root"/packages/next/trystd_*.deb)" Version
}

removes() {
    check "it is removed" inside apt-get -q remove -y trystd
    check "the service is gone" test "$(inside systemctl is-active trystd.service)" = inactive
    check "its state is not" inside test -e /var/lib/private/tryst/key
    check "nor its configuration" inside test -e /etc/tryst/trystd.conf
    check "installed again" install_packages "/packages/next/*.deb"
    same "it is the same server" "$url" "$(ctl url)"
    check "it is purged" inside apt-get -q purge -y trystd
    same "nothing is left" "" "$(inside find / -xdev \( -path /proc -o -path /packages -o -path /home \
        -o -path /var/lib/apt -o -path /var/cache -o -path /var/log -o -path /usr/share/doc \) -prune -o \
        -name '*tryst*' ! -name 'libtryst*' ! -name 'tryst' -print | grep -v -e '/tryst\.' -e '/libtryst')"
    check "not its state either" inside test ! -e /var/lib/private/tryst -a ! -e /var/lib/tryst \
        -a ! -e /etc/tryst
}

[ "$(id -u)" -eq 0 ] || fail "this test needs root"
unpack_root
fetch_dependencies
boot
note "$(inside systemctl --version | head -n 1) is PID 1 in systemd-nspawn; kernel $(uname -r)"
note "control groups: $(inside stat -f -c %T /sys/fs/cgroup); $PRETTY_NAME made by debootstrap"
ok "a clean root boots"
installs
sandboxed
serves
reloads
drains
restarts
activates
upgrades
removes
echo "$passed passed, 0 failed, 0 skipped"
