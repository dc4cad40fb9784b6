#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The tryst authors
#
# Endpoint-independent mapping with ports of the NAT's own choice, on both sides.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh" || exit 1

lab_pair eim eim
meets anna bert
meets bert anna
