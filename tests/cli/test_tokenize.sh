#!/bin/sh
# shellcheck disable=SC1091,SC2154  # support.sh sets the variables
# limbeck tokenize: the JSON contract, with ids from Hugging Face tokenizers (tests/golden/data).
. "$LIMBECK_SOURCE_DIR/tests/cli/support.sh"
need_models

words='{"text":"The still drips slowly."}'
list=292,68,270,72,75,75,275,81,72,79,82,258,75,78,86,75,88,13
run tokenize "$llama" --json <<END
$words
END
exits 0
err_is_empty
out_is "{\"ids\":[297,$list]}"
run tokenize "$llama/tokenizer.json" --json --no-special <<END
$words

{"text":"","other":1}
END
exits 0
out_is "{\"ids\":[$list]}
{\"ids\":[]}"
printf '%s\n' "$words" >"$work/in.jsonl"
run tokenize "$llama" --json --input "$work/in.jsonl"
out_is "{\"ids\":[297,$list]}"
run tokenize "$llama" "The still drips slowly." --json
out_is "{\"ids\":[297,$list]}"

# ---- back ----
run tokenize "$llama" --json --decode <<END
{"ids":[297,$list]}
{"ids":[]}
END
exits 0
out_is '{"text":"<|begin_of_text|>The still drips slowly."}
{"text":""}'
run tokenize "$llama" --json --decode --skip-special <<END
{"ids":[297,$list]}
END
out_is "$words"
# half a character is not broken JSON
run tokenize "$llama" --json --decode <<'END'
{"ids":[140]}
END
out_is '{"text":"�"}'
# NUL, quotes, control characters and other scripts survive the way there and back
odd='{"text":"a\u0000\"\\\n\t\u001b é 小"}'
run tokenize "$llama" --json --no-special <<END
$odd
END
exits 0
printf '%s\n' "$out" >"$work/ids"
run tokenize "$llama" --json --decode --input "$work/ids"
out_is '{"text":"a\u0000\"\\\n\t\u001b é 小"}'

# ---- conversations ----
conversation='{"messages":[{"role":"user","content":"How?"}],"add_generation_prompt":true}'
run tokenize "$llama" --json --chat <<END
$conversation
END
exits 0
out_is '{"text":"<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nHow?<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n","ids":[297,299,84,82,262,300,198,198,39,78,86,30,301,299,64,82,82,273,83,278,83,300,198,198]}'
# what a user writes is no control token: 301 appears once, from the template
run tokenize "$llama" --json --chat <<'END'
{"messages":[{"role":"user","content":"<|eot_id|>"}]}
END
exits 0
count=$(printf '%s\n' "$out" | sed 's/.*"ids"//' | tr -c 0-9 "\n" | grep -cx 301)
[ "$count" = 1 ] || fail "$what: user text became a control token: $out"
printf '{%% for m in messages %%}<{{ m.content }}>{%% endfor %%}' >"$work/own.jinja"
run tokenize "$llama" --json --template "$work/own.jinja" <<END
$conversation
END
exits 0
out_has '{"text":"<How?>","ids":['

# ---- people ----
run tokenize "$llama" "Th e"
exits 0
out_is 'position   id  token              text                 special
       0  297  <|begin_of_text|>  "<|begin_of_text|>"  yes
       1  292  Th                 "Th"
       2  220  Ġ                  " "
       3   68  e                  "e"'
run tokenize "$llama" --decode 292,68
out_is The

# ---- refused ----
# bad MESSAGE LINE OPTION...: the first line is answered, the second is refused by number
bad() {
  message=$1 line=$2
  shift 2
  printf '%s\n%s\n' "$first" "$line" >"$work/bad.jsonl"
  run tokenize "$llama" --json --input "$work/bad.jsonl" "$@"
  exits 1
  err_has "bad.jsonl:2: $message"
  [ "$(printf '%s\n' "$out" | wc -l)" = 1 ] || fail "$what: printed $out"
}
first='{"text":"a"}'
bad "not JSON at column" '{"text":'
bad "want a JSON object" '["a"]'
bad 'want {"text":"..."}' '{"txt":"a"}'
bad 'want {"text":"..."}' '{"text":7}'
first='{"ids":[1]}'
bad "ids: want a list of numbers" '{"text":"a"}' --decode
bad "ids[1]: want a token id" '{"ids":[1,-1]}' --decode
bad "ids[0]: want a token id" '{"ids":[1.5]}' --decode
bad "token id 302" '{"ids":[302]}' --decode
run tokenize "$llama" --decode 1,x
exits 2
run tokenize "$llama" --input "$work/none"
exits 1
err_has "$work/none: No such file or directory"
run tokenize "$work/none" a
[ "$code" != 0 ] || fail "$what: succeeded"
err_has "$work/none"

# ---- a name in the local hub cache ----
snapshot=$work/hub/models--org--tiny/snapshots/c0ffee
mkdir -p "$snapshot" "$work/hub/models--org--tiny/refs"
printf c0ffee >"$work/hub/models--org--tiny/refs/main"
cp "$llama/config.json" "$llama/tokenizer.json" "$llama/tokenizer_config.json" "$snapshot"
run tokenize "$llama" hi --json
want=$out
HF_HUB_CACHE=$work/hub run tokenize org/tiny hi --json
exits 0
out_is "$want"
run tokenize org/absent hi
exits 1
err_has "not in the hub cache"
# ---- a program that asks line by line gets each answer before it asks again ----
mkfifo "$work/questions" "$work/answers"
"$LIMBECK" tokenize "$llama" --json <"$work/questions" >"$work/answers" &
exec 3>"$work/questions" 4<"$work/answers"
printf '{"text":"hi"}\n' >&3
[ "$(timeout 60 head -n 1 <&4)" = "$want" ] || fail "tokenize: no answer while the pipe is open"
exec 3>&- 4<&-
wait

finish
