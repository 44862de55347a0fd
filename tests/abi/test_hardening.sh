#!/bin/sh
# The built binary and library have what cmake/flags.cmake asks for: the flags of the OpenSSF guide
# leave traces that readelf sees. A sanitizer build leaves them out, on purpose.
set -eu
command -v readelf >/dev/null || {
  echo "skipped: no readelf (binutils)"
  exit 77
}
failures=0
fail() {
  echo "FAILED: $1"
  failures=$((failures + 1))
}
# FILE WHAT PATTERN READELF_OPTIONS...
want() {
  file=$1 what=$2 pattern=$3
  shift 3
  readelf -W "$@" "$file" 2>/dev/null | grep -Eq -- "$pattern" || fail "${file##*/}: $what"
}
if readelf -Ws "$LIMBECK" | grep -Eq '__(asan|tsan|ubsan)_|__gcov_'; then
  echo "skipped: a sanitizer or coverage build"
  exit 77
fi
library=$(find "$LIMBECK_BUILD_DIR" -maxdepth 1 -name 'liblimbeck.so*' -type f | head -1)
[ -n "$library" ] || fail "no liblimbeck.so in $LIMBECK_BUILD_DIR"
for file in "$LIMBECK" $library; do
  want "$file" "is not position independent" 'Type: +DYN' -h
  want "$file" "has no read-only relocations" 'GNU_RELRO' -l
  want "$file" "does not bind at start" 'BIND_NOW|Flags:.* NOW' -d
  want "$file" "has no stack header" 'GNU_STACK' -l
  if readelf -Wl "$file" | grep -Eq 'GNU_STACK.* RWE'; then fail "${file##*/}: the stack is executable"; fi
  if readelf -Wd "$file" | grep -Eq 'TEXTREL'; then fail "${file##*/}: text is relocated"; fi
  if readelf -Wl "$file" | grep -Eq 'LOAD.* RWE'; then fail "${file##*/}: memory both writable and executable"; fi
  want "$file" "has no stack protector" '__stack_chk_fail' -s
  want "$file" "calls no fortified function" '__[a-z]+_chk(@|$| )' -s
done
# No door to the network, to a shell or to code that is not linked.
doors='accept|accept4|bind|connect|listen|socket|popen|system|fork|vfork|posix_spawnp?|dlopen|execl.*|execvp.*'
for file in "$LIMBECK" $library; do
  found=$(readelf -W --dyn-syms "$file" | sed -n 's/.* UND \([^@ ]*\).*/\1/p' | grep -xE "$doors") || :
  [ -z "$found" ] || fail "${file##*/}: calls $found"
done
# The mark for indirect-branch tracking needs a C library that has it (Debian 12's start files do
# not); the landing pads are what the compiler was asked for.
case $(uname -m) in
x86_64) objdump -d "$LIMBECK" --disassemble=main | grep -q endbr64 || fail "no landing pads for indirect branches" ;;
esac
[ "$failures" = 0 ]
