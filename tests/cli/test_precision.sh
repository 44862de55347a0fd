#!/bin/sh
# shellcheck disable=SC1091,SC2154  # support.sh sets the variables
# score --compare-precision: table, JSON, refusals. --precision auto: one line the first time, none
# afterwards.
. "$LIMBECK_SOURCE_DIR/tests/cli/support.sh"
need_models
export LIMBECK_CACHE="$work/cache"
prompt=58,30,165,173,71,229,226,26,30,150,149,295
printf '{"ids":[%s]}\n{"text":"The still"}\n' $prompt >"$work/in.jsonl"

# ---- the table: a row per precision, lined up ----
run score "$llama" --compare-precision --input "$work/in.jsonl"
exits 0
err_is_empty
out_has "precision  mean KL   p99 KL  worst KL     top-1  perplexity"
out_has "f32        0.00000  0.00000   0.00000  100.00 %"
out_has "19 tokens; KL(f32 || it) in nats per token"
printf '%s\n' "$out" | grep -qE '^int8 +0\.[0-9]{5} ' || fail "no row for int8: $out"
widths=$(printf '%s\n' "$out" | sed '/^$/,$d' | awk '{ print length }' | sort -u | wc -l)
[ "$widths" = 1 ] || fail "the table does not line up: $out"
run score "$llama" --compare-precision --text "The still"
exits 0
out_has "7 tokens;"

# ---- one object; perplexity and nll are those of score ----
row="\\{\"precision\":\"[a-z0-9]+\",\"mean_kl\":$number,\"p99_kl\":$number,\"worst_kl\":$number,\"agreement\":$number,\"nll\":($number|null),\"perplexity\":($number|null),\"read_tokens_per_second\":$number,\"write_tokens_per_second\":$number,\"resident_bytes\":$number\\}"
run score "$llama" --compare-precision --json <"$work/in.jsonl"
exits 0
err_is_empty
out_matches "\\{\"documents\":2,\"tokens\":19,\"precisions\":\\[$row(,$row)+\\]\\}"
out_has '"precision":"f32","mean_kl":0,"p99_kl":0,"worst_kl":0,"agreement":1,'
compared=$(printf '%s\n' "$out" | sed 's/.*"f32"[^}]*"nll":\([^,]*\).*/\1/')
run score "$llama" --input "$work/in.jsonl"
printf '%s\n' "$out" | tail -1 | awk -v x="$compared" '{ d = $3 - x; exit !(d * d < 1e-8) }' ||
  fail "nll is $compared, score says: $out"

# ---- refused ----
run score "$llama" --compare-precision </dev/null
exits 2
err_has "want at least one document"
run score "$llama" --compare-precision --input "$work/absent"
exits 1
run score "$llama" --compare-precision <<'END'
{"ids":[1,2]}
{"ids":[1,302]}
END
exits 1
err_has "standard input:2: token 1: id 302 is outside"
for extra in "--top 3" "--precision int8" "--precision-max-kl 1"; do
  # shellcheck disable=SC2086
  run score "$llama" --compare-precision --text a $extra
  exits 2
  err_has "--compare-precision measures every precision: leave out --"
done
run score "$work/absent" --compare-precision --text a
exits 1

# ---- the bound ----
for verb in generate score chat; do
  run $verb "$llama" --precision f32 --precision-max-kl 0.01 --text a --prompt a </dev/null
  [ "$code" != 0 ] || fail "$what: a bound without auto was taken"
done
run generate "$llama" --prompt-ids 211 --precision f32 --precision-max-kl 0.01
exits 2
err_has "precision-max-kl: only --precision auto has a bound"
run score "$llama" --text a --precision-max-kl 0.01
exits 2
run bench prompt "$llama" --precision int8 --precision-max-kl 0.01
exits 2
run generate "$llama" --prompt-ids 211 --precision-max-kl -1
exits 2
err_has "precision-max-kl"
run generate "$llama" --prompt-ids 211 --precision-max-kl 0.01 -n 1
exits 0
err_has "prompt: 1 tokens"

# ---- auto on a model large enough: 10 million parameters, all zero ----
big=$work/big
mkdir "$big"
cat >"$big/config.json" <<'END'
{"architectures":["LlamaForCausalLM"],"model_type":"llama","vocab_size":4096,"hidden_size":512,
"intermediate_size":2048,"num_hidden_layers":2,"num_attention_heads":8,"num_key_value_heads":8,
"max_position_embeddings":64,"rms_norm_eps":1e-5,"rope_theta":10000.0,"hidden_act":"silu",
"bos_token_id":1,"eos_token_id":2,"tie_word_embeddings":true}
END
awk 'function add(name, rows, cols,  n) {
    n = 2 * rows * cols
    text = text (text == "" ? "{" : ",") "\"" name ".weight\":{\"dtype\":\"F16\",\"shape\":[" rows \
      (cols > 1 ? "," cols : "") "],\"data_offsets\":[" at "," at + n "]}"
    at += n
  }
  BEGIN {
    at = 0
    add("model.embed_tokens", 4096, 512)
    for (l = 0; l < 2; l++) {
      p = "model.layers." l "."
      add(p "input_layernorm", 512, 1)
      add(p "post_attention_layernorm", 512, 1)
      for (i = split("q k v o", w, " "); i > 0; i--) add(p "self_attn." w[i] "_proj", 512, 512)
      add(p "mlp.gate_proj", 2048, 512)
      add(p "mlp.up_proj", 2048, 512)
      add(p "mlp.down_proj", 512, 2048)
    }
    add("model.norm", 512, 1)
    text = text "}"
    while (length(text) % 256 != 0) text = text " "
    n = length(text) / 256 # the header is padded, so that only this byte of its size is not 0
    printf "%s %d\n%s", "size", n, text > "/dev/stdout"
    print at > "'"$work"'/bytes"
  }' >"$work/header"
blocks=$(sed -n '1s/size //p' "$work/header")
{
  # shellcheck disable=SC2059
  printf "\\000\\$(printf %03o "$blocks")\\000\\000\\000\\000\\000\\000"
  sed 1d "$work/header"
  head -c "$(cat "$work/bytes")" /dev/zero
} >"$big/model.safetensors"
line='limbeck: measuring precisions once for this model: '
run generate "$big" --prompt-ids 5 -n 2 --json
exits 0
err_has "$line"
err_has "int8 KL 0.0000"
err_has "remembered in $work/cache/precision-"
[ "$(printf '%s\n' "$err" | wc -l)" = 1 ] || fail "$what: want one line: $err"
run generate "$big" --prompt-ids 5 -n 2 --json
exits 0
err_is_empty
run generate "$big" --prompt-ids 5 -n 2 --json --precision-max-kl 0.5
err_has "$line"
run generate "$big" --prompt-ids 5 -n 2 --json --precision-max-kl 0.25 --quiet
exits 0
err_is_empty
[ "$(find "$work/cache" -name 'precision-*' | wc -l)" = 3 ] || fail "want three answers: $(ls "$work/cache")"
for f in "$work/cache"/*; do echo '{"precision":' >"$f"; done
run generate "$big" --prompt-ids 5 -n 2 --json
exits 0
err_has "$line"
run score "$big" --compare-precision --json --input "$work/in.jsonl"
exits 1
printf '{"ids":[1,2,3]}\n' >"$work/few.jsonl"
run score "$big" --compare-precision --json --input "$work/few.jsonl"
exits 0
printf '%s\n' "$out" | sed 's/.*"f32"[^}]*"resident_bytes":\([0-9]*\).*/\1/' |
  awk '{ exit !($1 > 20e6 && $1 < 100e6) }' || fail "want 21 MB of weights in memory: $out"
finish
