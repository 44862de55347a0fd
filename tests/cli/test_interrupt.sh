#!/bin/sh
# SIGTERM (as Ctrl-C) ends a call with exit code 3, after what was ready has been printed. A reader
# that goes away ends it quietly.
# shellcheck disable=SC1091,SC2034,SC2154  # support.sh sets and reads the variables
. "$LIMBECK_SOURCE_DIR/tests/cli/support.sh"
need_models

mkfifo "$work/turns" || exit 1
"$LIMBECK" chat "$llama" --json -n 4 <"$work/turns" >"$work/out" 2>"$work/err" &
chat=$!
exec 9>"$work/turns"
echo "How?" >&9
# The answer proves that it listens and waits for the next line.
tries=0
while [ ! -s "$work/out" ] && [ "$tries" -lt 600 ]; do
  tries=$((tries + 1))
  sleep 0.1
done
kill -TERM "$chat"
exec 9>&- # should the signal come just before it waits, the end of the input wakes it
wait "$chat"
code=$? err=$(cat "$work/err") out=$(cat "$work/out") what="chat, then SIGTERM"
exits 3
out_has '"role":"assistant"'

{ "$LIMBECK" help --man 2>"$work/err"; echo $? >"$work/code"; } | head -c 1 >/dev/null
err=$(cat "$work/err") what="help --man | head -c 1"
err_is_empty
finish
