# Read by the test_*.sh of this folder: `. "$LIMBECK_SOURCE_DIR/tests/cli/support.sh"`. Runs the
# binary, keeps what it printed, and compares. Every check names itself when it fails; `finish` ends.
# shellcheck shell=sh disable=SC2034
set -u
unset LIMBECK_THREADS NO_COLOR
models=$LIMBECK_SOURCE_DIR/tests/golden/data/models
llama=$models/llama-tied-gqa
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
failed=0
checks=0

fail() { echo "FAILED: $*" >&2; failed=1; }
need_models() { [ -f "$llama/model.safetensors" ] || { echo "no fixtures in $models"; exit 77; }; }

# run ARGUMENT...: sets $out, $err and $code; standard input is passed on
run() {
  what="limbeck $*"
  "$LIMBECK" "$@" >"$work/out" 2>"$work/err"
  code=$?
  out=$(cat "$work/out")
  err=$(cat "$work/err")
}
exits() { checks=$((checks + 1)); [ "$code" = "$1" ] || fail "$what: exit $code, want $1; stderr: $err"; }
# out_is TEXT, out_has PART, err_has PART: $out and $err of the last run
out_is() { checks=$((checks + 1)); [ "$out" = "$1" ] || fail "$what: printed
$out
want
$1"; }
has() { checks=$((checks + 1)); case $2 in *"$3"*) ;; *) fail "$what: $1 lacks '$3': $2" ;; esac; }
out_has() { has stdout "$out" "$1"; }
err_has() { has stderr "$err" "$1"; }
err_is_empty() { checks=$((checks + 1)); [ -z "$err" ] || fail "$what: stderr has: $err"; }
# out_matches PATTERN: every line of $out matches the extended regular expression, whole
out_matches() {
  checks=$((checks + 1))
  [ -n "$out" ] || fail "$what: printed nothing"
  odd=$(printf '%s\n' "$out" | grep -vxE -- "$1")
  [ -z "$odd" ] || fail "$what: a line does not match $1: $odd"
}
finish() {
  [ "$checks" -gt 0 ] || fail "no check was made"
  exit "$failed"
}

# JSON in extended regular expressions
number='-?[0-9]+(\.[0-9]+)?(e[-+]?[0-9]+)?'
numbers="\\[($number(,$number)*)?\\]"
ids='\[([0-9]+(,[0-9]+)*)?\]'
string='"([^"\\]|\\.)*"'

# Whether `script` can give us a terminal: it may be missing, or the machine without pseudo-terminals.
has_terminal() {
  script -qec true /dev/null </dev/null >/dev/null 2>&1 && return 0
  echo "no terminal here: what needs one is left out"
  return 1
}
