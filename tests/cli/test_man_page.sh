#!/bin/sh
# shellcheck disable=SC1091,SC2154  # support.sh sets the variables
# docs/limbeck.1 is what `limbeck help --man` prints. After a change of options:
#     build/limbeck help --man > docs/limbeck.1
. "$LIMBECK_SOURCE_DIR/tests/cli/support.sh"

run help --man
exits 0
cmp -s "$work/out" "$LIMBECK_SOURCE_DIR/docs/limbeck.1" ||
  fail "docs/limbeck.1 is not what 'limbeck help --man' prints; make it anew"
out_has ".SH EXIT STATUS"
if command -v groff >/dev/null; then
  warnings=$(groff -man -Tutf8 -ww -z "$work/out" 2>&1)
  [ -z "$warnings" ] || fail "groff: $warnings"
fi
finish
