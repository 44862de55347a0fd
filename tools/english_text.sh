#!/bin/sh
# Makes a folder of English text to try things on: the pages of the Debian Administrator's Handbook
# (package debian-handbook, GPL-2+ or CC-BY-SA-3.0), one .txt a page. Needs apt-get, dpkg-deb and w3m.
# usage: tools/english_text.sh FOLDER
set -eu
[ $# = 1 ] || { echo "usage: $0 FOLDER" >&2; exit 2; }
out=$1
for tool in apt-get dpkg-deb w3m; do
  command -v "$tool" >/dev/null || { echo "$0: please install $tool" >&2; exit 1; }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$out"
(cd "$work" && apt-get -q download debian-handbook >/dev/null 2>&1 && dpkg-deb -x debian-handbook_*.deb x)
for page in "$work"/x/usr/share/doc/debian-handbook/html/en-US/*.html; do
  name=$(basename "$page" .html)
  w3m -dump -T text/html -cols 1000 -O UTF-8 "$page" >"$out/$name.txt"
done
echo "$(find "$out" -name '*.txt' | wc -l) pages, $(cat "$out"/*.txt | wc -c) bytes: $out"
