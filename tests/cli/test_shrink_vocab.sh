#!/bin/sh
# shellcheck disable=SC1091,SC2154  # support.sh sets the variables
# limbeck shrink --vocab-from: the text it was trimmed to gets the same tokens and predictions, every
# file speaks the new ids, GGUF too; and a student of it learns from the whole teacher what it learns
# from a teacher that was trimmed alike.
. "$LIMBECK_SOURCE_DIR/tests/cli/support.sh"
. "$LIMBECK_SOURCE_DIR/tests/cli/recipe_support.sh"
need_models
other='{"text":"Größe ١٢½Ⅷ 数据 \ud83d\ude00 \u0000 <|unknown|> zzz QQQ\n\n\t"}'
python=$(command -v python3) || python=

encode() { "$LIMBECK" tokenize "$1" --json --input "$2"; }
# field FILE KEY: an integer
field() { grep -oE "\"$2\": *-?[0-9]+" "$1" | head -n 1 | grep -oE '[0-9]+$'; }

# ---- every family, tied and untied: the same tokens, the same predictions of what is kept ----
printf '%s\n' "$other" >"$work/other.jsonl"
for name in llama-tied-gqa llama-bf16-shards gpt2-tied gpt2-untied qwen2-tied qwen3-untied mistral gemma3-linear; do
  source=$models/$name
  run shrink "$source" "$work/$name" --vocab-from "$texts" --json
  exits 0
  out_has '"vocab_documents":24'
  err_has "rows of the vocabulary; 24 documents of"
  size=$(field "$work/$name/config.json" vocab_size)
  checks=$((checks + 1))
  [ "$size" -lt "$(field "$source/config.json" vocab_size)" ] || fail "$name: nothing was trimmed"
  has stdout "$out" "\"vocab_size\":$size"
  encode "$source" "$texts" >"$work/before" || fail "$name: tokenize"
  encode "$work/$name" "$texts" >"$work/after" || fail "$name: tokenize the trimmed one"
  if [ -n "$python" ]; then
    checks=$((checks + 1))
    "$python" - "$work" "$name" "$source" <<'END' || fail "$name: ids or files"
import json, sys
work, name, source = sys.argv[1:]
folder = f"{work}/{name}"
m = json.load(open(f"{folder}/vocab_map.json"))
assert m["format"] == "limbeck-vocab-map" and m["version"] == 1
ids = m["ids"]
assert ids == sorted(set(ids)) and ids[-1] < m["source"]["tokens"]
for a, b in zip(open(f"{work}/before"), open(f"{work}/after"), strict=True):
    assert json.loads(a)["ids"] == [ids[i] for i in json.loads(b)["ids"]]
old, new = (json.load(open(f"{f}/tokenizer.json")) for f in (source, folder))
vocab = new["model"]["vocab"]
if isinstance(vocab, dict):
    whole = old["model"]["vocab"]
    assert all(whole[text] == ids[i] for text, i in vocab.items())
    for merge in new["model"]["merges"]:
        left, right = merge.split(" ") if isinstance(merge, str) else merge
        assert left in vocab and right in vocab and left + right in vocab
contents = {t["content"]: t["id"] for t in new["added_tokens"]}
assert all(ids[contents[t["content"]]] == t["id"] for t in old["added_tokens"])
config, was = (json.load(open(f"{f}/config.json")) for f in (folder, source))
assert config["vocab_size"] == len(ids)
for c, w in ((config, was), *((json.load(open(f"{f}/generation_config.json")) for f in (folder, source)),)):
    for key in ("bos_token_id", "eos_token_id", "pad_token_id"):
        if isinstance(w.get(key), int):
            assert ids[c[key]] == w[key], key
END
  fi
  # any other text is told back as the whole tokenizer tells it
  for side in "$source" "$work/$name"; do
    encode "$side" "$work/other.jsonl" | "$LIMBECK" tokenize "$side" --decode --json
  done >"$work/told"
  checks=$((checks + 1))
  [ "$(sort -u "$work/told" | wc -l)" = 1 ] || fail "$name: another text is told otherwise: $(cat "$work/told")"
  run generate "$work/$name" --prompt "the quick" --max-new-tokens 3 --quiet
  exits 0
done

# ---- a GGUF on either side ----
run convert "$llama" "$work/llama.gguf" --no-check --quiet
run shrink "$work/llama.gguf" "$work/from-gguf" --vocab-from "$texts" --quiet
exits 0
encode "$work/from-gguf" "$texts" >"$work/after"
encode "$work/llama-tied-gqa" "$texts" | cmp -s - "$work/after" || fail "from a GGUF: other tokens"
run convert "$work/llama-tied-gqa" "$work/trimmed.gguf" --quiet # its check compares both
exits 0
encode "$work/trimmed.gguf" "$texts" | cmp -s - "$work/after" || fail "to a GGUF: other tokens"

# ---- a bound; layers and vocabulary at once; trimming twice ----
most=$(($(field "$work/llama-tied-gqa/config.json" vocab_size) - 3))
run shrink "$llama" "$work/bound" --vocab-from "$texts" --vocab-size $most --quiet
exits 0
checks=$((checks + 1))
[ "$(field "$work/bound/config.json" vocab_size)" -le $most ] || fail "--vocab-size $most was not kept"
run shrink "$llama" "$work/x" --vocab-from "$texts" --vocab-size 3
exits 2
err_has "want at least so many"
run shrink "$teacher" "$work/whole" --vocab-from "$texts" --quiet
exits 0
run shrink "$teacher" "$work/small" --vocab-from "$texts" --layers 1 --quiet
exits 0
run shrink "$work/whole" "$work/again" --layers 1 --quiet
exits 0
for file in vocab_map.json tokenizer.json model.safetensors; do
  checks=$((checks + 1))
  cmp -s "$work/small/$file" "$work/again/$file" || fail "layers after the vocabulary: $file differs"
done
head -n 3 "$texts" >"$work/few.jsonl"
run shrink "$work/whole" "$work/less" --vocab-from "$work/few.jsonl" --layers 1 --quiet
exits 0

# ---- what is refused ----
run shrink "$llama" "$work/x" --vocab-size 100
exits 2
err_has "want --vocab-from"
run shrink "$llama" "$work/x" --vocab-from "$work/nothing.jsonl"
exits 1
err_has nothing.jsonl
[ ! -e "$work/x" ] || fail "a folder was left behind"

# ---- training: the whole teacher, cut as it is opened, is the trimmed teacher ----
weights() { sha256sum <"$1/model.safetensors"; }
distil() { # distil OUT TEACHER STUDENT KEY=VALUE...
  into=$work/$1 from=$2 to=$3
  shift 3
  run distill "$recipe" "teacher=$from" "student=$to" "output_dir=$into" --no-plan train.max_steps=3 "$@"
  exits 0
}
for how in distill.type=logits distill.type=hidden distill.type=attention \
  distill.teacher_precision=int8 distill.teacher_precision=bf16; do
  distil cut "$teacher" "$work/small" overwrite_output_dir=true "$how"
  err_has "the teacher's vocabulary is cut to the student's"
  distil plain "$work/whole" "$work/small" overwrite_output_dir=true "$how"
  case $err in *"vocabulary is cut"*) fail "$how: a teacher of the same vocabulary was cut" ;; esac
  checks=$((checks + 1))
  [ "$(weights "$work/cut")" = "$(weights "$work/plain")" ] || fail "$how: the cut teacher teaches otherwise"
done
cmp -s "$work/small/vocab_map.json" "$work/cut/vocab_map.json" || fail "the student lost its map"
# as a GGUF it keeps the map: compared with the whole teacher, it has the folder's figures
run compare --teacher "$teacher" --student "$work/small" --data "$texts" --precision f32 --json
exits 0
figures() { printf '%s' "$out" | grep -oE '"(forward_kl|reverse_kl|agreement)":[^,}]*'; }
of_folder=$(figures) || fail "$what: no figures"
run convert "$work/small" "$work/small.gguf" --type f32 --quiet
exits 0
run compare --teacher "$teacher" --student "$work/small.gguf" --data "$texts" --precision f32 --json
exits 0
checks=$((checks + 1))
[ "$(figures)" = "$of_folder" ] || fail "as a GGUF: other figures than $of_folder: $out"
# a student trimmed from a trimmed teacher learns from either
distil once "$teacher" "$work/less"
distil twice "$work/whole" "$work/less"
err_has "the teacher's vocabulary is cut to the student's"
checks=$((checks + 1))
[ "$(weights "$work/once")" = "$(weights "$work/twice")" ] || fail "a teacher trimmed before teaches otherwise"
run verify "$recipe" "teacher=$teacher" "student=$work/small"
exits 0

# ---- maps that do not fit ----
map=$work/small/vocab_map.json
cp "$map" "$work/good"
refuse() { # refuse CODE TEACHER PART
  run distill "$recipe" "teacher=$2" "student=$work/small" "output_dir=$work/x" --no-plan
  exits "$1"
  err_has "$3"
  cp "$work/good" "$map"
}
refuse 2 "$models/gpt2-tied" "whose tokens are not the teacher's"
sed 's/"ids": \[0, /"ids": [/' "$work/good" >"$map"
refuse 2 "$teacher" "but the tokenizer has"
sed 's/"ids": \[0, /"ids": [0, 0, /' "$work/good" >"$map"
refuse 1 "$teacher" "want them rising, each once"
sed 's/"ids": \[0, /"ids": [-1, /' "$work/good" >"$map"
refuse 1 "$teacher" "want an id from 0"
sed 's/]}$/, 99999999999]}/' "$work/good" >"$map"
refuse 1 "$teacher" "want an id from 0"
sed 's/"version": 1/"version": 2/' "$work/good" >"$map"
refuse 1 "$teacher" "a newer one is needed"
sed 's/"tokens": [0-9]*/"tokens": 99999999999/' "$work/good" >"$map"
refuse 1 "$teacher" "source.tokens is 99999999999"
echo '{"ids": ' >"$map"
refuse 1 "$teacher" "vocab_map.json"

finish
