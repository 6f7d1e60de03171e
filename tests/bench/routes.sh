#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Routes: 5,000 remote blocks from nothing against `ip -batch` of the same routes, alternating in one run, the
# best of five each (wall time of the whole process for both); and the cost of one more block at 5,000
# against 100. Ratios are judged, times are for information.
set -euo pipefail

bin=$(readlink -f "${BUILD:-build}/bench/routes")
if [ "${1-}" != inside ]; then
	exec unshare -n -- "$0" inside
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

ip link set lo up
ip link add eth0 type veth peer name far
ip addr add 10.1.0.1/16 dev eth0
ip link set eth0 up
ip link set far up

microseconds() { # COMMAND...
	local start end
	start=$(date +%s%N)
	"$@" >/dev/null
	end=$(date +%s%N)
	echo $(((end - start) / 1000))
}
flush() { ip route flush proto "$1" >/dev/null 2>&1 || true; }
best() { sort -n | head -1; }

failed=0
judge() { # NAME VALUE LIMIT
	local verdict=ok
	awk -v v="$2" -v l="$3" 'BEGIN { exit !(v <= l) }' || { verdict=MISSED failed=1; }
	printf '%-58s %8s  (limit %s) %s\n' "$1" "$2" "$3" "$verdict"
}

"$bin" fill 5000 "$work/batch" >/dev/null
flush 119
for _ in 1 2 3 4 5; do
	microseconds "$bin" fill 5000 "$work/unused" >>"$work/weft"
	flush 119
	microseconds ip -batch "$work/batch" >>"$work/ip"
	[ "$(ip route show proto 118 | wc -l)" -eq 5000 ]
	flush 118
done
weft=$(best <"$work/weft") ip=$(best <"$work/ip")
echo "5,000 blocks from nothing: weft ${weft} us, ip -batch ${ip} us"
judge "5,000 blocks, weft / ip -batch" "$(awk -v a="$weft" -v b="$ip" 'BEGIN { printf "%.2f", a / b }')" 1.2

one() { # N -> "COUNT UNIT" of one more route; callgrind's count where it is installed
	if command -v valgrind >/dev/null; then
		valgrind --tool=callgrind --toggle-collect=one_more --callgrind-out-file="$work/cg.$1" "$bin" one "$1" 2>/dev/null >/dev/null
		awk '/^(summary|totals):/ { print $2, "instructions (callgrind, 51 times)"; exit }' "$work/cg.$1"
	else
		"$bin" one "$1"
	fi
	flush 119
}
few=$(one 100) many=$(one 5000)
echo "one more block: at 100 $few; at 5,000 $many"
judge "one more block, at 5,000 / at 100" "$(awk -v a="${many%% *}" -v b="${few%% *}" 'BEGIN { printf "%.2f", a / b }')" 1.2
exit $failed
