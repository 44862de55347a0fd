#!/bin/sh
# shellcheck disable=SC1091,SC2154  # support.sh sets the variables
# Help, man page and completion: there for every verb, and made from the same tables.
. "$LIMBECK_SOURCE_DIR/tests/cli/support.sh"

run
exits 2
err_has "usage"
run help
exits 0
err_is_empty
out_has "generate"
overview=$out
run --help
exits 0
out_is "$overview"

verbs=$(printf '%s\n' "$overview" | sed -n '/^verbs/,/^$/s/^  \([a-z]*\) .*/\1/p')
count=0
for verb in $verbs; do
  count=$((count + 1))
  run help "$verb"
  exits 0
  err_is_empty
  out_has "usage"
  out_has "limbeck $verb"
  out_has "--threads N"
  explained=$out
  run "$verb" --help
  exits 0
  out_is "$explained"
  long=$(printf '%s\n' "$explained" | awk 'length > 100')
  [ -z "$long" ] || fail "help $verb: longer than 100 columns: $long"
  run help --man
  out_has ".SS limbeck $verb"
  run completion bash
  out_has "    $verb)"
  run completion zsh
  out_has "'$verb:"
  run completion fish
  out_has "-a $verb "
done
[ "$count" -ge 11 ] || fail "the overview lists $count verbs"
for verb in distill plan verify generate chat score tokenize inspect convert bench; do
  run help "$verb"
  out_has "examples"
  out_has "arguments"
done

run --version
exits 0
out_matches 'limbeck [0-9]+\.[0-9]+\.[0-9]+'
version=$out
run version
out_is "$version"
run version --json
out_matches '\{"version":"[0-9]+\.[0-9]+\.[0-9]+"\}'

# no colours outside a terminal
run help generate
case $out in *"$(printf '\033')"*) fail "help has escape sequences in a pipe" ;; esac

# the completion scripts run
if command -v bash >/dev/null; then
  run completion bash
  cat >"$work/try.bash" <<'END'
. "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); _limbeck; echo "${COMPREPLY[*]}"
END
  try() { bash "$work/try.bash" "$work/out" "$@"; }
  [ "$(try limbeck gen)" = generate ] || fail "bash: no verb"
  [ "$(try limbeck generate --max)" = --max-new-tokens ] || fail "bash: no option"
  [ "$(try limbeck convert a b --type q)" = "q8_0 q4_0" ] || fail "bash: no choices"
  [ "$(try limbeck completion '')" = "bash zsh fish" ] || fail "bash: no words"
fi
for shell in zsh fish; do
  command -v $shell >/dev/null || continue
  run completion $shell
  $shell -n "$work/out" || fail "$shell does not parse its completion"
done
finish
