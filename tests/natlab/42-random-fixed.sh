#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The tryst authors
#
# Random ports over the full range: hundreds of sockets against hundreds of ports, where both sides
# agreed to that.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh" || exit 1

TALK_BOTH=(--birthday)
lab_pair linux-drop random
lab_site third linux-rst --delay 20
lab_host third carl
peer_join carl carl
talk anna bert 20000
recorded "connected, the ports random" \
    '.state == "connected" and .target.nat.allocation == "random"'
talk bert carl 20000
recorded "connected" '.state == "connected"'
