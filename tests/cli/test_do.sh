#!/bin/sh
# ./do: lists its words, refuses others, installs once and only what is missing, counts honestly.
set -u
do=$LIMBECK_SOURCE_DIR/do
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
failed=0
fail() { echo "FAILED: $*" >&2; failed=1; }
# has TEXT WANTED WHAT
has() { case $1 in *"$2"*) ;; *) fail "$3: want '$2' in: $1" ;; esac; }

# ---- words: from any folder; every listed one has its function ----
list=$(cd / && "$do") || fail "./do alone must succeed"
for word in build test bench fuzz asan tsan coverage format lint install clean deps; do
  printf '%s\n' "$list" | grep -q "^  $word .* [a-z]" || fail "word '$word' is not listed"
  grep -q "^do_$word() {" "$do" || fail "word '$word' has no function"
done
for word in nope 'b.*' 'build;' base is_usable; do
  output=$("$do" "$word" 2>&1)
  [ $? = 2 ] || fail "unknown word '$word' must exit 2"
  has "$output" "unknown word '$word'; ./do lists them all" "hint"
done

# ---- a system where nothing is installed: its PATH has only these ----
bin=$work/bin
mkdir "$bin"
for tool in sh sed grep dirname env; do ln -s "$(command -v $tool)" "$bin/$tool"; done
output=$(PATH=$bin "$do" deps 2>&1)
[ $? = 1 ] || fail "without apt-get, deps must exit 1"
has "$output" "please install" "without apt-get"
has "$output" "libjansson-dev" "without apt-get"

# fake_tool NAME: a program whose text is read from standard input
fake_tool() { { echo '#!/bin/sh'; cat; } >"$bin/$1"; chmod +x "$bin/$1"; }
fake_tool dpkg-query <<END
for package in "\$@"; do :; done
[ "\$package" != cmake ] || { echo installed; exit 0; }
[ -f $work/done ] && echo installed || echo not-installed
END
fake_tool apt-get <<END
echo "apt-get \$DEBIAN_FRONTEND \$*" >>$work/calls
case "\$*" in *install*) : >$work/done ;; esac
END
echo 'echo 1000' | fake_tool id
output=$(PATH=$bin "$do" deps 2>&1)
[ $? = 1 ] || fail "without sudo and root, deps must exit 1"
has "$output" "run as root: apt-get install build-essential" "without sudo"
[ ! -f "$work/calls" ] || fail "apt-get was called without being root"

# shellcheck disable=SC2016  # the fake tool's own text
echo 'exec "$@"' | fake_tool sudo
export DEBIAN_FRONTEND=unset
PATH=$bin "$do" deps >"$work/output" 2>&1 || fail "deps with apt-get: $(cat "$work/output")"
calls=$(cat "$work/calls")
has "$calls" "apt-get unset -q update" "first call"
has "$calls" "apt-get noninteractive -q -y" "second call"
has "$calls" "libssl-dev libcmocka-dev" "second call"
case $calls in *" cmake "*) fail "cmake is installed, apt-get was asked for it" ;; esac
rm "$work/calls"
PATH=$bin "$do" deps >"$work/output" 2>&1 || fail "deps again: $(cat "$work/output")"
[ ! -f "$work/calls" ] || fail "the second run called apt-get again"

# ---- counting ----
summary=$LIMBECK_SOURCE_DIR/tools/test_summary
header='<?xml version="1.0"?><testsuite name="x">'
case_of() { printf '\t<testcase name="%s" classname="%s" time="0" status="%s">\n%s\n\t</testcase>\n' "$1" "$1" "$2" "${3:-}"; }
{ echo "$header"; case_of unit/a run; case_of unit/b run
  case_of golden/c notrun '<skipped message="SKIP_RETURN_CODE=77"/>'; echo '</testsuite>'; } >"$work/good.xml"
output=$("$summary" "$work/good.xml") || fail "no failed test must exit 0"
[ "$output" = "skipped: golden/c
2 passed, 0 failed, 1 skipped" ] || fail "summary: $output"

{ echo "$header"; case_of unit/a run; case_of unit/b fail '<failure message=""/>'
  case_of unit/d notrun '<skipped message="Unable to find executable"/>'; } >"$work/bad.xml"
output=$("$summary" "$work/bad.xml") && fail "a failed test must exit 1"
[ "$output" = "failed: unit/b
failed: unit/d
1 passed, 2 failed, 0 skipped" ] || fail "summary: $output"
echo "$header" >"$work/none.xml"
"$summary" "$work/none.xml" >/dev/null && fail "no test at all must exit 1"

exit $failed
