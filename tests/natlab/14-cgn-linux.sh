#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The tryst authors
#
# A home behind a carrier's NAT that shares each public port among destinations, against a Linux
# NAT of either sort.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh" || exit 1

lab_pair cgn-double linux-drop
lab_site third linux-rst --delay 20
lab_host third carl
peer_join carl carl
meets anna bert
meets bert anna
meets anna carl
meets carl anna
