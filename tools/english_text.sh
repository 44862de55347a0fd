#!/bin/sh
# Makes a folder of English text to try things on, one .txt a page, from the manuals of Debian packages:
#   debian-handbook (when none is named), debian-policy, developers-reference
# All are free (GPL-2 or later; the handbook also CC-BY-SA-3.0). Needs apt-get, dpkg-deb and w3m.
# usage: tools/english_text.sh FOLDER [PACKAGE...]
set -eu
[ $# -ge 1 ] || { echo "usage: $0 FOLDER [PACKAGE...]" >&2; exit 2; }
out=$1
shift
[ $# -ge 1 ] || set -- debian-handbook
for tool in apt-get dpkg-deb w3m; do
  command -v "$tool" >/dev/null || { echo "$0: please install $tool" >&2; exit 1; }
done

# Where a package keeps its pages, below /usr/share; developers-reference.html is all of its others once more.
pages_of() {
  case $1 in
    debian-handbook) echo 'doc/debian-handbook/html/en-US/*.html' ;;
    debian-policy) echo 'doc/debian-policy/policy.html/*.html' ;;
    developers-reference) echo 'developers-reference/[!d]*.html developers-reference/developer-duties.html' ;;
    *) return 1 ;;
  esac
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$out"
for package; do
  pages=$(pages_of "$package") || { echo "$0: no pages are known of the package $package" >&2; exit 2; }
  (cd "$work" && apt-get -q download "$package" >download.log 2>&1) || { cat "$work/download.log" >&2; exit 1; }
  dpkg-deb -x "$work/$package"_*.deb "$work/x"
  for pattern in $pages; do
    for page in "$work"/x/usr/share/$pattern; do
      name=$(basename "$page" .html)
      [ "$package" = debian-handbook ] || name=$package.$name
      w3m -dump -T text/html -cols 1000 -O UTF-8 "$page" >"$out/$name.txt"
    done
  done
done
echo "$(find "$out" -name '*.txt' | wc -l) pages, $(cat "$out"/*.txt | wc -c) bytes: $out"
