#!/bin/sh
# shellcheck disable=SC1091,SC2154  # support.sh sets the variables
# limbeck convert: there and back, checked by itself, and never over something that is there.
. "$LIMBECK_SOURCE_DIR/tests/cli/support.sh"
need_models
prompt=58,30,165,173,71,229,226,26,30,150,149,2

score() { "$LIMBECK" score "$1" --top 2 --json --input "$work/in.jsonl"; }
echo "{\"ids\":[$prompt]}" >"$work/in.jsonl"

for name in llama-tied-gqa gpt2-tied qwen2-tied qwen3-tied mistral; do
  source=$models/$name
  [ -d "$source" ] || continue
  want=$(score "$source")
  run convert "$source" "$work/$name.gguf" --json
  exits 0
  out_matches "\\{\"output\":$string,\"checked\":true,\"dtype\":\"F32\",\"same_ids\":true,\"positions\":[0-9]+,\"kl\":$number,\"max_logprob_difference\":$number,\"same_best_token\":1\\}"
  run convert "$work/$name.gguf" "$work/$name-back"
  exits 0
  out_is "$work/$name-back"
  err_has "checked"
  [ "$(score "$work/$name-back")" = "$want" ] || fail "$name: there and back changed the predictions"
done

# gemma's norms are stored as 1 + w in GGUF: there and back costs a rounding, which the check measures
run convert "$models/gemma3-linear" "$work/gemma.gguf" --json
exits 0
run convert "$work/gemma.gguf" "$work/gemma" --json
exits 0
# Transformers 5 refuses 14.0 where its config says int
grep -q '"query_pre_attn_scalar": 14,' "$work/gemma/config.json" || fail "query_pre_attn_scalar is not a whole number"
out_has '"same_best_token":1'

# ---- other number formats: what was measured stays within what was promised ----
for type in f16 bf16 q8_0 q4_0; do
  name=$(echo $type | tr '[:lower:]' '[:upper:]')
  run convert "$models/llama-bf16-shards" "$work/$type.gguf" --type $type --json
  exits 0
  out_has "\"dtype\":\"$name\",\"same_ids\":true"
  run inspect "$work/$type.gguf"
  out_has "$name "
done
run convert "$models/llama-tied-gqa" "$work/half" --dtype bf16 --no-check
exits 0
run inspect "$work/half"
out_has BF16

# ---- refused ----
run convert "$models/llama-tied-gqa" "$work/half"
exits 2
err_has "$work/half"
run convert "$models/llama-tied-gqa" "$work/half" --overwrite --quiet
exits 0
err_is_empty
run convert "$models/llama-tied-gqa" "$work/q" --type q4_0
[ "$code" != 0 ] || fail "$what: a folder cannot hold Q4_0"
run convert "$models/gemma3-scale" "$work/x.gguf"
exits 1
err_has "gemma3"
run convert "$work/none" "$work/x.gguf"
[ "$code" != 0 ] || fail "$what: succeeded"
[ ! -e "$work/x.gguf" ] || fail "a failed conversion left a file"
# ---- the text part of a multimodal folder becomes a text model ----
mkdir "$work/multimodal"
cp "$models/gemma3-linear"/*.safetensors "$models/gemma3-linear"/tokenizer* "$work/multimodal"
{
  printf '{"architectures":["Gemma3ForConditionalGeneration"],"model_type":"gemma3","eos_token_id":[7,9],"text_config":'
  cat "$models/gemma3-linear/config.json"
  printf '}'
} >"$work/multimodal/config.json"
run convert "$work/multimodal" "$work/text" --json
exits 0
grep -q '"Gemma3ForCausalLM"' "$work/text/config.json" || fail "$what: the architecture is not the text model's"
grep -q 'text_config' "$work/text/config.json" && fail "$what: the text part is still nested"
grep -A3 '"eos_token_id": \[' "$work/text/config.json" | grep -q 9 || fail "$what: an end token is lost"

# ---- what is replaced leaves no template or token behind ----
run convert "$llama" "$work/replaced" --json
exits 0
echo old >"$work/replaced/chat_template.jinja"
echo '{}' >"$work/replaced/added_tokens.json"
echo mine >"$work/replaced/notes.txt"
run convert "$models/gpt2-tied" "$work/replaced" --overwrite --json
exits 0
for name in chat_template.jinja added_tokens.json; do
  [ ! -e "$work/replaced/$name" ] || fail "$what: $name of the old model is still there"
done
[ -e "$work/replaced/notes.txt" ] || fail "$what: removed a file that is not the model's"

finish
