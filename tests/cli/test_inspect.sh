#!/bin/sh
# shellcheck disable=SC1091,SC2154  # support.sh sets the variables
# limbeck inspect: tables for people, one object for programs, tokenizers alone, bad files.
. "$LIMBECK_SOURCE_DIR/tests/cli/support.sh"
need_models

run inspect "$llama"
exits 0
err_is_empty
out_has "parameters    30.5 k  (30520)"
out_has "context       256"
out_has "kv heads      2"
out_has "tokenizer     BPE, 302 tokens"
out_has "bos           297  <|begin_of_text|>"
out_has "F32         20    30.5 k  122.1 kB  100.0 %"
out_has "chat template (282 bytes)"
case $out in *mlp.up_proj*) fail "tensors are listed without --tensors" ;; esac
run inspect "$llama" --tensors --metadata
exits 0
out_has "model.layers.1.mlp.up_proj.weight"
out_has "[36,40]"
out_has "rms_norm_eps"

run inspect "$llama" --json
exits 0
err_is_empty
[ "$(printf '%s\n' "$out" | wc -l)" = 1 ] || fail "$what: want one line"
out_has '"parameters":30520,"bytes":122080,"dtypes":{"F32":{"tensors":20,"elements":30520,"bytes":122080}}'
out_has '"tokenizer":{"model":"BPE","size":302,"bos":297,"eos":301,"pad":null,"unk":null,"eos_ids":[301]}'
out_has '{"name":"model.layers.0.mlp.up_proj.weight","dtype":"F32","shape":[36,40],"bytes":5760}'
out_has '"supported":true'

# a tokenizer alone
cp "$llama/tokenizer.json" "$work/tokenizer.json"
run inspect "$work/tokenizer.json"
exits 0
out_has "BPE, 302 tokens"

# a family that is not known is shown all the same
cp -r "$llama" "$work/odd"
sed 's/LlamaForCausalLM/ZebraForCausalLM/; s/"llama"/"zebra"/' "$llama/config.json" >"$work/odd/config.json"
run inspect "$work/odd"
exits 0
out_has "Limbeck cannot run it"
run generate "$work/odd" --prompt-ids 1
exits 1
err_has ebra
err_has llama

# ---- refused ----
run inspect "$work/none"
[ "$code" != 0 ] || fail "$what: succeeded"
err_has "$work/none"
head -c 100 "$llama/model.safetensors" >"$work/cut.safetensors"
run inspect "$work/cut.safetensors"
[ "$code" = 1 ] || fail "$what: exit $code: $err"
printf 'GGUF\003\000\000\000' >"$work/cut.gguf"
run inspect "$work/cut.gguf"
exits 1
err_has "cut.gguf"
finish
