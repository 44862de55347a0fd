#!/bin/sh
# Twice the input costs at most 2.3 times as much: texts to ids, templates, and files of many parts
# (growth.c). What it costs is counted in instructions, by callgrind: no clock, the same each time.
# What an input of no size costs is not part of it.
# shellcheck disable=SC1091,SC2154  # support.sh sets the variables
. "$LIMBECK_SOURCE_DIR/tests/cli/support.sh"
command -v valgrind >/dev/null || { echo "skipped: no valgrind"; exit 77; }
if readelf -Ws "$LIMBECK_GROWTH" | grep -Eq '__(asan|tsan|ubsan)_|__gcov_'; then
  echo "skipped: a sanitizer or coverage build"
  exit 77
fi

export OMP_NUM_THREADS=1 LIMBECK_THREADS=1
valgrind --tool=callgrind --callgrind-out-file="$work/counts" --combine-dumps=yes \
  --collect-atstart=no --toggle-collect=lb_growth_measured --dump-after=lb_growth_measured \
  "$LIMBECK_GROWTH" "$LIMBECK_SOURCE_DIR/tests/golden" >"$work/calls" 2>"$work/err" ||
  fail "growth: exit $?: $(tail -n 5 "$work/err")"
sed -n 's/^summary: //p' "$work/counts" | head -n "$(wc -l <"$work/calls")" >"$work/sums"
paste -d ' ' "$work/sums" "$work/calls" >"$work/table"
checks=$(grep -c ' large ' "$work/table")

awk '
  { count = $1; size = $2; $1 = $2 = ""; cost[size] = count }
  size == "large" {
    small = cost["small"] - cost["none"]; large = cost["large"] - cost["none"]
    if (!(small > 0 && large > 0)) { print "no cost:" $0; bad = 1; next }
    printf "%.2f%s\n", large / small, $0
    if (large > 2.3 * small) { print "FAILED:" $0 ": " small " instructions, twice the input " large; bad = 1 }
  }
  END { exit bad }' "$work/table" >"$work/ratios" || fail "$(grep -E '^(FAILED|no cost)' "$work/ratios")"
echo "$checks cases; the worst:"
sort -rn "$work/ratios" | head -n 3
finish
