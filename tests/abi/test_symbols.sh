#!/bin/sh
# liblimbeck.so exports what tests/abi/symbols.txt lists, and nothing else: the public functions,
# all named lb_. After adding or removing one on purpose, make the list anew:
#     nm -D --defined-only build/liblimbeck.so | awk '$2 ~ /[A-Z]/ { print $3 }' | LC_ALL=C sort > tests/abi/symbols.txt
set -u
library=$LIMBECK_BUILD_DIR/liblimbeck.so
list=$LIMBECK_SOURCE_DIR/tests/abi/symbols.txt
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
failed=0
fail() { echo "FAILED: $*" >&2; failed=1; }

[ -f "$library" ] || { echo "no $library"; exit 77; }
command -v nm >/dev/null || { echo "no nm"; exit 77; }
# Coverage and sanitizer runtimes add names of their own; ours never begin with two underscores.
nm -D --defined-only "$library" | awk '$2 ~ /[A-Z]/ { print $3 }' |
  grep -vE '^(__|_init$|_fini$|llvm_|gcov)' | LC_ALL=C sort >"$work/exported"
[ -s "$work/exported" ] || fail "$library exports nothing"
odd=$(grep -v '^lb_[a-z]' "$work/exported")
[ -z "$odd" ] || fail "exported, but not named lb_: $odd"
hidden=$(grep '^lb__' "$work/exported")
[ -z "$hidden" ] || fail "internal, but exported: $hidden"
LC_ALL=C diff "$list" "$work/exported" >"$work/diff" ||
  fail "not what tests/abi/symbols.txt lists (< listed, > exported):
$(cat "$work/diff")"

# every function that a header promises is there
sed -n 's/.*LB_API[^(]*[ *]\(lb_[a-z0-9_]*\)(.*/\1/p' "$LIMBECK_SOURCE_DIR"/include/limbeck/*.h |
  LC_ALL=C sort -u >"$work/promised"
missing=$(LC_ALL=C comm -23 "$work/promised" "$work/exported")
[ -z "$missing" ] || fail "promised by a header, but not there: $missing"
exit $failed
