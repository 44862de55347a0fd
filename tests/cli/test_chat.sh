#!/bin/sh
# shellcheck disable=SC1091,SC2154  # support.sh sets the variables
# limbeck chat from a script: every line is a turn, and the history reaches the model.
. "$LIMBECK_SOURCE_DIR/tests/cli/support.sh"
need_models

line="\\{\"role\":\"assistant\",\"content\":$string,\"ids\":$ids,\"finish_reason\":\"(eos|length|stop)\",\"tokens_per_second\":($number|null)\\}"
run chat "$llama" --json -n 5 --ignore-eos <<'END'
How?

Say it.
END
exits 0
err_is_empty
out_matches "$line"
[ "$(printf '%s\n' "$out" | wc -l)" = 2 ] || fail "$what: want 2 answers: $out"
first=$(printf '%s\n' "$out" | head -1 | sed 's/,"tokens_per.*//')
second=$(printf '%s\n' "$out" | tail -1 | sed 's/,"tokens_per.*//')

# the first answer is what generate says to the same message
run generate "$llama" --chat --prompt "How?" -n 5 --ignore-eos --json
answer=$(printf '%s\n' "$out" | sed 's/.*"ids":\(\[[^]]*\]\),"text.*/\1/')
case $first in *"\"ids\":$answer,"*) ;; *) fail "chat says $first, generate says $answer" ;; esac
# the second one is not what a fresh conversation gives: the history was there
run chat "$llama" --json -n 5 --ignore-eos <<'END'
Say it.
END
[ "$(printf '%s\n' "$out" | sed 's/,"tokens_per.*//')" != "$second" ] || fail "the history is not used"
# a line that ends in a backslash goes on
run chat "$llama" --json -n 5 --ignore-eos <<'END'
How?\
Say it.
END
exits 0
[ "$(printf '%s\n' "$out" | wc -l)" = 1 ] || fail "$what: want 1 answer: $out"
# a system message
run chat "$llama" --json -n 5 --ignore-eos --system "Be brief." <<'END'
How?
END
[ "$(printf '%s\n' "$out" | sed 's/,"tokens_per.*//')" != "$first" ] || fail "--system is not used"

# ---- refused ----
run chat "$models/gpt2-tied" </dev/null
[ "$code" != 0 ] || fail "$what: a model without a template must be refused"
err_has "template"
finish
