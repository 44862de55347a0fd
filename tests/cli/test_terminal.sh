#!/bin/sh
# On a terminal: model text cannot steer it, headings are bold, NO_COLOR is respected. In a pipe:
# bytes as they are, and no escape sequence of ours. `script` gives us a terminal.
# shellcheck disable=SC1091,SC2154  # support.sh sets the variables
. "$LIMBECK_SOURCE_DIR/tests/cli/support.sh"
need_models
has_terminal || exit 77
esc=$(printf '\033')

# on_terminal COMMAND: runs it with a terminal; sets $out
on_terminal() {
  what=$1
  script -qec "$1" /dev/null </dev/null >"$work/terminal" 2>&1 || fail "$what: script cannot run it"
  out=$(tr -d '\r' <"$work/terminal")
}
lacks() { checks=$((checks + 1)); case $out in *"$1"*) fail "$what: printed '$1': $out" ;; esac; }

# token 215 is the byte 0x1b, 58 is "["
run tokenize "$llama" --decode 215,58
exits 0
out_is "${esc}["
on_terminal "'$LIMBECK' tokenize '$llama' --decode 215,58"
out_has "�["
lacks "$esc"
on_terminal "'$LIMBECK' help generate"
out_has "${esc}[1musage${esc}[0m"
on_terminal "NO_COLOR=1 '$LIMBECK' help generate"
out_has usage
lacks "$esc"
on_terminal "'$LIMBECK' help generate --no-color"
lacks "$esc"
finish
