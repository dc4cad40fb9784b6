#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The tryst authors
#
# Two Linux NATs whose own stack answers stray SYNs with RST, as stock routers do: both SYNs must
# cross.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh" || exit 1

lab_pair linux-rst linux-rst
meets anna bert
meets bert anna
