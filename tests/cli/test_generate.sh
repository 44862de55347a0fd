#!/bin/sh
# shellcheck disable=SC1091,SC2154  # support.sh sets the variables
# limbeck generate: the JSON contract, with tokens from Transformers (tests/golden/data/expected).
. "$LIMBECK_SOURCE_DIR/tests/cli/support.sh"
need_models
prompt=58,30,165,173,71,229,226,26,30,150,149,295

line="\\{\"prompt_ids\":$ids,\"ids\":$ids,\"text\":$string,\"finish_reason\":\"(eos|length|stop)\",\"logprob\":$number,(\"score\":$number,)?\"tokens_per_second\":($number|null)\\}"
# makes IDS REASON ARGUMENT...: one answer with these tokens
makes() {
  want=$1 reason=$2
  shift 2
  run generate "$llama" --json "$@"
  exits 0
  err_is_empty
  out_matches "$line"
  out_has "\"ids\":[$want],"
  out_has "\"finish_reason\":\"$reason\""
}

# ---- greedy ----
makes 144,216,216,49,168,123,192,82,123,268,95,268,174,174,174,174,174,174 length \
  --prompt-ids 211 --max-new-tokens 18 --ignore-eos
out_has '"prompt_ids":[211]'
out_has '"logprob":-21.725'
makes 144,216,216,49,168,123,192,82 eos --prompt-ids 211 --eos-ids 82
makes 144,216,216,49,168,123,192,160,241,192,268,174,174,236,274,299 length \
  --prompt-ids 211 --max-new-tokens 16 --min-new-tokens 12 --eos-ids 82,95
makes 169,88,161,172,268,204,146,64,248,55,208,47,144,166 length \
  --prompt-ids "$prompt" --max-new-tokens 14 --ignore-eos --repetition-penalty 1.7
makes "" length --prompt-ids 211 --max-new-tokens 0

# ---- beams ----
run generate "$llama" --json --prompt-ids $prompt num_beams=2 max_new_tokens=12 \
  early_stopping=true num_return_sequences=2 eos_ids=31,187,270
exits 0
out_matches "$line"
out_has '"ids":[169,260,270]'
out_has '"ids":[169,88,169,147,256,27,146,270]'
makes 169,260,270,270,270,270,147,71,114,146,270,147 length --prompt-ids $prompt \
  --num-beams 2 --length-penalty 2 --max-new-tokens 12 --eos-token-id 187,204,219

# ---- sampling: the same seed, the same tokens; temperature implies sampling ----
run generate "$llama" --json --prompt-ids 211 --temperature 1.5 --seed 7
first=${out%%,\"tokens_per*}
run generate "$llama" --json --prompt-ids 211 --do-sample --temperature 1.5 --seed 7 --threads 1
[ "${out%%,\"tokens_per*}" = "$first" ] || fail "the same seed gave other tokens"
run generate "$llama" --json --prompt-ids 211 --temperature 1.5 --seed 8
[ "${out%%,\"tokens_per*}" != "$first" ] || fail "another seed gave the same tokens"
run generate "$llama" --json --prompt-ids 211 --do-sample --num-return-sequences 3 -n 4
exits 0
out_matches "$line"
[ "$(printf '%s\n' "$out" | wc -l)" = 3 ] || fail "$what: want 3 lines: $out"

# ---- many prompts: in order, whatever the batch ----
cat >"$work/in.jsonl" <<END
{"ids":[211]}
{"ids":[$prompt]}

{"text":"The still"}
{"messages":[{"role":"user","content":"How?"}],"add_generation_prompt":true}
END
run generate "$llama" --json --input "$work/in.jsonl" -n 6 --ignore-eos
exits 0
out_matches "$line"
all=$(printf '%s\n' "$out" | sed 's/,"logprob.*//')
[ "$(printf '%s\n' "$out" | wc -l)" = 4 ] || fail "$what: want 4 lines: $out"
out_has '{"prompt_ids":[211],"ids":[144,216,216,49,168,123],'
out_has '{"prompt_ids":[297,299,84,82,262,300,198,198,39,78,86,30,301,299,64,82,82,273,83,278,83,300,198,198],'
for batch in 1 3; do
  run generate "$llama" --json --input - --batch-size $batch -n 6 --ignore-eos <"$work/in.jsonl"
  [ "$(printf '%s\n' "$out" | sed 's/,"logprob.*//')" = "$all" ] || fail "$what: other answers: $out"
done

# ---- --chat and --system hold for lines as they do for --prompt ----
run generate "$models/llama-headdim" --system "S" --prompt "hi" -n 2 --json
exits 0
single=$(printf '%s' "$out" | sed 's/"tokens_per_second.*//')
printf '\357\273\277{"text":"hi"}\r\n' >"$work/bom.jsonl" # as some editors write it
run generate "$models/llama-headdim" --system "S" --input "$work/bom.jsonl" -n 2 --json
exits 0
[ "$(printf '%s' "$out" | sed 's/"tokens_per_second.*//')" = "$single" ] || fail "$what: not as --prompt"

# a conversation to be continued asks for an answer, unless it says otherwise
printf '{"messages":[{"role":"system","content":"S"},{"role":"user","content":"hi"}]}\n' >"$work/talk.jsonl"
run generate "$models/llama-headdim" --input "$work/talk.jsonl" -n 2 --json
exits 0
[ "$(printf '%s' "$out" | sed 's/"tokens_per_second.*//')" = "$single" ] || fail "$what: not as --system and --prompt"

# ---- a prompt that is refused leaves nothing on stdout ----
run generate "$llama" --prompt-ids 999999
exits 2
out_is ""
[ -s "$work/out" ] && fail "$what: printed a line on stdout"

# ---- text for people; remarks stay off stdout ----
run generate "$llama" --prompt "The still" -n 6
exits 0
plain=$out
err_has "prompt: 7 tokens"
err_has "ended by length"
run generate "$llama" --prompt "The still" -n 6 --quiet
out_is "$plain"
err_is_empty
run generate "$llama" --prompt "The still" -n 6 --chat --json
out_has '"prompt_ids":[297,299,84,82,262,300'
run generate "$llama" --prompt "The still" -n 6 --no-special --json
out_has '"prompt_ids":[292,68,'
# a stop string ends the text before it
run generate "$llama" --prompt-ids 211 --ignore-eos -n 18 --stop " an" --stop nowhere --json
exits 0
out_has '"finish_reason":"stop"'
case $out in *'"text":"'*' an'*'","finish'*) fail "$what: the stop string is in the text: $out" ;; esac

# ---- refused ----
run generate "$work/none" --prompt a
[ "$code" != 0 ] || fail "$what: succeeded"
out_is ""
err_has "$work/none"
run generate "$llama" --prompt-ids 302
exits 2
err_has "302"
run generate "$llama" --prompt "" --no-special
exits 2
err_has "at least one token"
run generate "$llama" --prompt-ids 1 --num-beams 2 --do-sample
exits 2
run generate "$llama" --prompt-ids 1 --num-return-sequences 2
exits 2
printf '{"ids":[211]}\n{"ids":[]}\n' >"$work/bad.jsonl"
run generate "$llama" --json --input "$work/bad.jsonl" -n 2
exits 1
out_has '"prompt_ids":[211]'
err_has "bad.jsonl:2: the document is empty"
if [ -w /dev/full ]; then
  "$LIMBECK" generate "$llama" --prompt-ids 211 --json >/dev/full 2>"$work/err"
  code=$?
  # shellcheck disable=SC2034  # err_has reads it
  err=$(cat "$work/err")
  what="generate > /dev/full"
  exits 1
  err_has "standard output: No space left"
fi
finish
