#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The tryst authors
#
# Two Linux NATs that drop stray SYNs: either peer requests, small and empty transfers too.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh" || exit 1

lab_pair linux-drop linux-drop
meets anna bert
meets bert anna
talk anna bert 0
