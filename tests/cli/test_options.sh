#!/bin/sh
# shellcheck disable=SC1091,SC2154  # support.sh sets the variables
# The rules of options: three spellings, precedence, "did you mean", values refused by name.
. "$LIMBECK_SOURCE_DIR/tests/cli/support.sh"
need_models

# ---- three spellings, - and _, aliases, places: all the same ----
run generate "$llama" --prompt-ids 211 --max-new-tokens 3 --json
exits 0
want=$(printf '%s\n' "$out" | sed 's/,"tokens_per_second.*//')
same() {
  run "$@"
  exits 0
  got=$(printf '%s\n' "$out" | sed 's/,"tokens_per_second.*//')
  [ "$got" = "$want" ] || fail "$what: got $got, want $want"
}
same generate "$llama" --prompt-ids=211 --max-new-tokens=3 --json
same generate "$llama" prompt-ids=211 max-new-tokens=3 json=true
same generate "$llama" prompt_ids=211 max_new_tokens=3 --json true
same generate --max_new_tokens 3 --prompt_ids 211 --json=1 "$llama"
same generate -n 3 --prompt-ids 211 --json -- "$llama"
same --threads 1 --json generate "$llama" --prompt-ids 211 -n 3
same generate "$llama" --prompt-ids 211 -n 9 -n 3 --json
same generate "$llama" --prompt-ids 211 -n 3 --json --no-do-sample --temperature 2
same generate "$llama" --prompt-ids 211 -n 3 --json --do-sample --temperature 0

# ---- command line > environment > default ----
LIMBECK_MAX_NEW_TOKENS=3 same generate "$llama" --prompt-ids 211 --json
LIMBECK_MAX_NEW_TOKENS=9 same generate "$llama" --prompt-ids 211 -n 3 --json
LIMBECK_MAX_NEW_TOKENS='' same generate "$llama" --prompt-ids 211 -n 3 --json
LIMBECK_JSON=yes same generate "$llama" --prompt-ids 211 -n 3
LIMBECK_THREADS=1 same generate "$llama" --prompt-ids 211 -n 3 --json
LIMBECK_MAX_NEW_TOKENS=many run generate "$llama" --prompt-ids 211
exits 2
err_has "LIMBECK_MAX_NEW_TOKENS: want a whole number >= 0, found 'many'"

# ---- refused ----
# refuses MESSAGE ARGUMENT...: exit 2, nothing on stdout, the message on stderr
refuses() {
  message=$1
  shift
  run "$@"
  exits 2
  out_is ""
  err_has "$message"
}
refuses "unknown option '--temprature'" generate x --temprature 1
err_has "did you mean '--temperature'?"
refuses "unknown option 'num_beam=4'" generate x num_beam=4
err_has "did you mean '--num-beams'?"
refuses "unknown option '--zzzzzzzz'" generate x --zzzzzzzz
refuses "unknown verb 'generat'" generat
err_has "did you mean 'limbeck generate'?"
refuses "unknown verb 'scroe'" help scroe
err_has "did you mean 'score'?"
refuses "MODEL is missing" generate
err_has "usage: limbeck generate MODEL"
refuses "one word too many: 'b'" generate a b
refuses "--temperature: want a number >= 0, found '-1'" generate x --temperature -1
refuses "--temperature: want a number >= 0, found 'nan'" generate x --temperature nan
refuses "--top-p: want a number in 0..1, found '1.5'" generate x --top-p 1.5
refuses "--num-beams: want a whole number in 1..256, found '0'" generate x --num-beams 0
refuses "--max-new-tokens: want a whole number >= 0, found '1e3'" generate x -n 1e3
refuses "--max-new-tokens: want a whole number >= 0, found '99999999999999999999'" \
  generate x -n 99999999999999999999
refuses "--seed: want a whole number >= 0, found '-1'" generate x --seed -1
refuses "--early-stopping: want one of false, true, never, found 'maybe'" \
  generate x early_stopping=maybe
refuses "--prompt-ids: want token ids such as 1,2,3, found '1,,2'" generate x --prompt-ids 1,,2
refuses "--prompt-ids: want token ids such as 1,2,3, found '1,-2'" generate x --prompt-ids 1,-2
refuses "--json: want true or false, found 'perhaps'" generate x --json=perhaps
refuses "--prompt: want text, found nothing after it" generate x --prompt
refuses "--max-shard-size: want a size such as 500MB or 5GB, found '5 apples'" \
  convert a b --max-shard-size "5 apples"
refuses "SHELL: want one of bash|zsh|fish, found 'fsh'" completion fsh
refuses "nothing to continue" generate x
refuses "give only one of" generate x --prompt a --prompt-ids 1
refuses "unknown option 'a=b'" tokenize x a=b
err_has "put text and file names after '--'"

# a message is one line, whatever it quotes
run generate x --temperature "$(printf '1\033[31m\n2')"
exits 2
[ "$(printf '%s\n' "$err" | wc -l)" = 2 ] || fail "the error is not one line and a hint: $err"
err_has '1\x1b[31m\n2'
finish
