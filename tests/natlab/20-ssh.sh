#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The tryst authors
#
# The daily job: an OpenSSH server on a machine behind two NATs, reached through ssh's ProxyCommand.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh" || exit 1

[ "$(awk '{ n += $3 } END { printf "%.0f", n }' /proc/self/uid_map)" -gt 1 ] ||
    skip "sshd needs a second user id to drop its privileges to (see newuidmap and /etc/subuid)"
lab_need ssh scp ssh-keygen
[ -x /usr/sbin/sshd ] || skip "/usr/sbin/sshd is missing (./bootstrap check installs it)"

# Accounts of its own, so that neither ssh nor sshd reads anybody's home.
accounts() {
    mkdir -p $LAB/ssh /run/sshd
    chmod 755 /run $LAB
    sed "s|^root:.*|root:x:0:0:root:$LAB/ssh:/bin/sh|" /etc/passwd >$LAB/passwd
    echo 'root:*:19000:0:99999:7:::' >$LAB/shadow
    mount --bind $LAB/passwd /etc/passwd && mount --bind $LAB/shadow /etc/shadow
}

keys() {
    ssh-keygen -q -t ed25519 -N '' -f $LAB/ssh/host &&
        ssh-keygen -q -t ed25519 -N '' -f $LAB/ssh/user &&
        cp $LAB/ssh/user.pub $LAB/ssh/authorized
}

start_sshd() {
    cat >$LAB/ssh/sshd_config <<END
ListenAddress 127.0.0.1:22
HostKey $LAB/ssh/host
AuthorizedKeysFile $LAB/ssh/authorized
PermitRootLogin yes
PasswordAuthentication no
StrictModes no
UsePAM no
PidFile none
MaxStartups 100
Subsystem sftp internal-sftp
END
    on bert /usr/sbin/sshd -D -e -f $LAB/ssh/sshd_config 2>$LAB/log/sshd &
    lab_line $LAB/log/sshd "Server listening"
}

options=(-F /dev/null -i "$LAB/ssh/user" -o BatchMode=yes -o LogLevel=ERROR
    -o "ProxyCommand='$TRYST' connect %h"
    -o StrictHostKeyChecking=accept-new -o "UserKnownHostsFile=$LAB/ssh/known")

lab_pair linux-rst cgn-double
accounts || fail "accounts"
keys || fail "ssh-keygen"
check "sshd listens on the loopback of a machine behind two NATs" start_sshd
echo "behind two NATs" >$LAB/ssh/motto
peer_listen bert --forward 127.0.0.1:22

same "ssh runs a command there" "behind two NATs" \
    "$(as anna ssh "${options[@]}" root@bert "cat $LAB/ssh/motto")"
as anna ssh "${options[@]}" root@bert 'exit 7'
same "its exit status comes back" 7 $?

"$LABTOOL" send 5 20000000 >$LAB/ssh/there
as anna ssh "${options[@]}" root@bert cat <$LAB/ssh/there >$LAB/ssh/back
check "20 MB go through ssh and come back" cmp $LAB/ssh/there $LAB/ssh/back
check "scp takes a file there" \
    as anna scp -q "${options[@]}" $LAB/ssh/there root@bert:$LAB/ssh/copied
check "it is the same file" cmp $LAB/ssh/there $LAB/ssh/copied
check "scp fetches it" as anna scp -q "${options[@]}" root@bert:$LAB/ssh/copied $LAB/ssh/fetched
check "it is still the same file" cmp $LAB/ssh/there $LAB/ssh/fetched

for i in 1 2 3 4 5; do
    as anna ssh "${options[@]}" root@bert "echo $i" >"$LAB/ssh/said.$i" &
    pids[i]=$!
done
for i in 1 2 3 4 5; do
    wait "${pids[i]}" || fail "login $i of five at once"
    same "login $i of five at once" $i "$(cat "$LAB/ssh/said.$i")"
done
lab_until 10 session_over
same "every session was established" '["connected"]' "$(sessions 'map(.state) | unique')"
