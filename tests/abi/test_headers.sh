#!/bin/sh
# Each public header compiles alone as C17 and as C++17, without a warning, and twice in one file.
set -u
cc=${CC:-cc}
cxx=${CXX:-c++}
include=$LIMBECK_SOURCE_DIR/include
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
failed=0
headers=0
warnings="-Wall -Wextra -Wpedantic -Wshadow -Werror -fsyntax-only -I$include"

command -v "$cxx" >/dev/null || echo "no C++ compiler: only C is checked"
for header in "$include"/limbeck/*.h; do
  headers=$((headers + 1))
  name=limbeck/${header##*/}
  printf '#include <%s>\n#include <%s>\nint use_%d;\n' "$name" "$name" $headers >"$work/alone.c"
  cp "$work/alone.c" "$work/alone.cpp"
  # shellcheck disable=SC2086  # lists of words
  $cc -std=c17 -Wstrict-prototypes $warnings "$work/alone.c" || { echo "FAILED: $name as C17" >&2; failed=1; }
  command -v "$cxx" >/dev/null || continue
  # shellcheck disable=SC2086
  $cxx -std=c++17 $warnings "$work/alone.cpp" || { echo "FAILED: $name as C++17" >&2; failed=1; }
done
[ $headers -ge 8 ] || { echo "FAILED: found $headers headers in $include" >&2; failed=1; }
exit $failed
