#!/bin/sh
# shellcheck disable=SC1091,SC2154  # support.sh sets the variables
# limbeck score: the JSON contract, and that its numbers agree with each other and with generate.
. "$LIMBECK_SOURCE_DIR/tests/cli/support.sh"
need_models
prompt=58,30,165,173,71,229,226,26,30,150,149,295

pair="\\[[0-9]+,$number\\]"
tops="\\[(\\[($pair(,$pair)*)?\\](,\\[($pair(,$pair)*)?\\])*)?\\]"
line="\\{\"ids\":$ids,\"logprobs\":\\[null(,$number)*\\],\"argmax\":$ids,\"logsumexp\":$numbers,\"top\":$tops,\"nll\":($number|null)\\}"

run score "$llama" --top 3 --json <<END
{"ids":[$prompt]}
{"text":"The still"}
{"ids":[211]}
END
exits 0
err_is_empty
out_matches "$line"
[ "$(printf '%s\n' "$out" | wc -l)" = 3 ] || fail "$what: want 3 lines: $out"
[ "$(printf '%s\n' "$out" | tail -1 | grep -c '"logprobs":\[null\].*"nll":null}')" = 1 ] ||
  fail "one token has nothing to predict: $out"
out_has '{"ids":[297,292,68,270,72,75,75],"logprobs":[null,'
# the best token after the prompt is what greedy search takes (169 in Transformers)
case $out in *',169],"logsumexp"'*) ;; *) fail "argmax after the prompt is not 169: $out" ;; esac

# nll is the mean of -logprobs, and top[0] is argmax, best first
printf '%s\n' "$out" | head -1 >"$work/one"
field() { sed "s/.*\"$1\":\\[\\([^]]*\\)\\].*/\\1/" "$work/one"; }
nll=$(sed 's/.*"nll":\([^}]*\)}/\1/' "$work/one")
field logprobs | awk -F, -v nll="$nll" '{ for (i = 2; i <= NF; i++) s -= $i; d = s / (NF - 1) - nll
  exit !(NF == 12 && d * d < 1e-10) }' || fail "nll is not the mean: $nll"
sed 's/.*"top":\[\[\(.*\)\]\],"nll.*/\1/; s/\]\],\[\[/\n/g' "$work/one" | tr -d '[]' >"$work/tops"
field argmax | tr ',' '\n' | paste -d, - "$work/tops" | awk -F, '
  NF != 7 || $1 != $2 || $3 < $5 || $5 < $7 || $3 > 0 { bad = 1 } END { exit bad || NR != 12 }' ||
  fail "top does not begin with argmax, best first: $(cat "$work/tops")"

run score "$llama" --json --text "The still"
exits 0
out_matches "$line"
out_has '"top":[[],[],[],[],[],[],[]]'
run score "$llama" --json --text "The still" --no-special
out_has '{"ids":[292,68,270,72,75,75]'

# ---- people ----
run score "$llama" --text "The"
exits 0
out_has "best guess"
out_has '"Th"'
out_has "perplexity"
printf '{"ids":[%s]}\n{"ids":[211]}\n' $prompt >"$work/in.jsonl"
run score "$llama" --input "$work/in.jsonl"
exits 0
out_has "document  tokens"
[ "$(printf '%s\n' "$out" | wc -l)" = 4 ] || fail "$what: want 4 lines: $out"
out_has "all           11"

# ---- refused ----
run score "$llama" --json <<'END'
{"ids":[1,2]}
{"ids":[1,]}
END
exits 1
err_has "standard input:2: not JSON"
run score "$llama" --json <<'END'
{"ids":[1,2]}
{"ids":[1,302]}
END
exits 1
err_has "standard input:2: token 1: id 302 is outside the model's vocabulary (0 to 301)"
out_matches "$line"
long=$(awk 'BEGIN { for (i = 0; i < 300; i++) printf "%s7", i ? "," : "" }')
run score "$llama" --json <<END
{"ids":[$long]}
END
exits 1
err_has "standard input:1: the document has 300 tokens, the model's context 256"
run score "$llama" --top 2000 --text a
exits 2
err_has "0..1024"
run score "$llama" --text a --input b
exits 2
finish
