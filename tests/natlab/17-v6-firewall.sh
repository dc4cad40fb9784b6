#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The tryst authors
#
# IPv6 without NAT: only the two firewalls need the timing. Then IPv6 beside an IPv4 that could
# never work.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh" || exit 1

SERVER_HOST=$SERVER_V6
lab_pair v6-firewall v6-firewall
meets anna bert
recorded "over IPv6" '.family == 6'
meets bert anna

lab_site third linux-fully-random --delay 20 --v6
lab_host third carl
peer_join carl carl
talk anna carl
recorded "over IPv6, the only family that both have" '.state == "connected" and .family == 6'
