#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The tryst authors
#
# One NAT answers RST, the other drops: the peer behind the RST must start first, whoever requests,
# and on whichever side it is.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh" || exit 1

lab_pair linux-rst linux-drop
meets anna bert
meets bert anna
