# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Counting checks, for the tests of setarch. Source it from bash.

passed=0
failed=0
skipped=0

pass()
{
	passed=$((passed + 1))
	echo "ok      $1"
}

# fail NAME [DETAIL...]: what was seen goes below the name
fail()
{
	failed=$((failed + 1))
	echo "FAILED  $1"
	shift
	[ $# -eq 0 ] || printf '%s\n' "$@" | sed 's/^/        /'
}

skip()
{
	skipped=$((skipped + 1))
	echo "skipped $1: $2"
}

# same NAME WANTED FOUND
same()
{
	if [ "$2" = "$3" ]; then
		pass "$1"
	else
		fail "$1" "wanted: ${2//$'\n'/$'\n        '}" \
			  "found:  ${3//$'\n'/$'\n        '}"
	fi
}

# gives NAME STATUS OUTPUT COMMAND...: exit status and all output, where the
# program's name is setarch, whatever its path
gives()
{
	local name="$1" status="$2" output="$3" found rc=0

	shift 3
	found=$("$@" 2>&1) || rc=$?
	same "$name" "$output [$status]" "$found [$rc]"
}

# summary: the closing line; the status is that of the whole test
summary()
{
	echo "$passed passed, $failed failed, $skipped skipped"
	[ "$failed" -eq 0 ]
}
