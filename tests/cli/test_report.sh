#!/bin/sh
# `limbeck report`: the page of a run, its errors; where there is a Chromium, the page opened in it:
# no message of the browser's console, every chart drawn, nothing wider than a phone.
# shellcheck disable=SC1091,SC2154  # support.sh sets the variables
. "$LIMBECK_SOURCE_DIR/tests/cli/support.sh"
runs=$work/runs
mkdir -p "$runs/a" "$runs/b"
i=0
while [ "$i" -lt 30 ]; do
  i=$((i + 1))
  for run in a b; do
    echo "{\"step\": $i, \"epoch\": 0.1, \"loss\": $((90 / i)).5, \"loss_ce\": 2.$i, \"loss_kd\": 1.$i, \"grad_norm\": 0.$i, \"learning_rate\": 0.0001, \"tokens\": ${i}000, \"tokens_per_second\": 15$i}" >>"$runs/$run/metrics.jsonl"
    [ $((i % 10)) -ne 0 ] || echo "{\"step\": $i, \"eval_loss\": 2.5, \"eval_ce\": 2.5, \"eval_perplexity\": 12.2, \"eval_kl\": 0.$i, \"eval_reverse_kl\": 0.3, \"eval_agreement\": 0.6, \"eval_accuracy\": 0.5}" >>"$runs/$run/metrics.jsonl"
  done
done

run report "$runs/a"
exits 0
out_has "$runs/a/report.html"
run report "$runs/a" --baseline "$runs/b" -o "$work/both.html" --json
exits 0
out_has '"lines":33,"unread_lines":0'
run report "$runs/a/" -o "$work/slash.html" # as a shell completes it
exits 0
checks=$((checks + 1))
grep -q '<h1>a</h1>' "$work/slash.html" || fail "no heading: $(grep -o '<h1>[^<]*' "$work/slash.html")"
checks=$((checks + 1))
grep -q 'baseline: eval_kl' "$work/both.html" || fail "the baseline is not drawn"

echo '{"step": 31, "lo' >>"$runs/a/metrics.jsonl" # torn
run report "$runs/a"
exits 0
err_has "1 of 34 lines"

run report "$work"
exits 1
err_has "want the output_dir of a run, which has a metrics.jsonl"
run report "$runs/a" --comparison "$runs/a/metrics.jsonl"
exits 1
err_has "metrics.jsonl"
run report
exits 2

browser=
for name in chromium chromium-browser google-chrome; do
  ! command -v "$name" >/dev/null || browser=$name
done
if [ -n "$browser" ]; then
  show() { "$browser" --headless --no-sandbox --disable-gpu --user-data-dir="$work/profile" --enable-logging=stderr "$@" 2>"$work/console"; }
  show --dump-dom "file://$work/both.html" >"$work/dom" || fail "$browser: exit $?: $(tail -n 3 "$work/console")"
  checks=$((checks + 2))
  [ "$(grep -o '<svg ' "$work/dom" | wc -l)" = 8 ] || fail "want 8 charts, found $(grep -o '<svg ' "$work/dom" | wc -l)"
  ! grep CONSOLE "$work/console" || fail "the browser complains"
  show --window-size=500,900 --screenshot="$work/page.png" "file://$work/both.html" || fail "no screenshot"
  [ -s "$work/page.png" ] || fail "an empty screenshot"
else
  echo "no Chromium here: the page was not opened in a browser" >&2
fi
finish
