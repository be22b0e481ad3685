#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# decode-stacktrace.sh TREE VMLINUX: have the tree's scripts/decode_stacktrace.sh decode a line
# whose symbol is a command. Says whether it ran, here.
set -u
tree=$(readlink -f "$1") vmlinux=$(readlink -f "$2")
where=$(mktemp -d)
cd "$where" || exit 2
try() {
	printf '%s\n' '[    1.000001] Call Trace:' "[    1.000002]  $2" |
		bash "$tree/scripts/decode_stacktrace.sh" "$vmlinux" >/dev/null 2>&1
	if [ -e "$where/ran-$1" ]; then
		echo "$1: BAD, the command ran"
	else
		echo "$1: ok"
	fi
}
try name 'x"||system("touch${IFS}ran-name")||1{exit}$0=="+0x0/0x10'
rm -r "$where"
