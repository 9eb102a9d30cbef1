#!/usr/bin/env bash
# corpus.sh LANGUAGE FOLDER [KIB]: real prose in one language, as plain UTF-8 text files.
#
# Takes the manual pages of Debian's package manpages-LANGUAGE (de, fr, es; it is fetched but not
# installed, so no root is needed), renders them and writes one .txt file per page to FOLDER, until
# KIB kibibytes (default 1536) are there. The pages' own licences (GPL and others) apply.
set -euo pipefail
language=$1
folder=$2
kib=${3:-1536}
[ -e "$folder.complete" ] && exit 0
rm -rf "$folder"
mkdir -p "$folder"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
(cd "$work" && apt-get download -qq "manpages-$language" 2>/dev/null) || {
  echo "corpus: cannot fetch the package manpages-$language; run 'apt-get update' and check the package sources" >&2
  exit 65
}
dpkg-deb -x "$work"/manpages-"$language"_*.deb "$work/tree"
total=0
# Commands first (1), administration (8), files (5), overviews (7); then calls.
for section in 1 8 5 7 2 4 3; do
  for page in "$work/tree/usr/share/man/$language/man$section"/*.gz; do
    [ -f "$page" ] || continue
    name=$(basename "$page" .gz)
    zcat "$page" | groff -k -Tutf8 -man -rHY=0 -dAD=l -rLL=100n -P-cbou 2>/dev/null |
      sed -E 's/[[:space:]]+/ /g; s/^ //; s/ $//' | cat -s | tr -d '\000' >"$folder/$name.txt"
    [ -s "$folder/$name.txt" ] || { rm -f "$folder/$name.txt"; continue; }
    total=$((total + $(stat -c %s "$folder/$name.txt")))
    [ "$total" -ge $((kib * 1024)) ] && break 2
  done
done
touch "$folder.complete"
echo "corpus: $language, $(find "$folder" -name '*.txt' | wc -l) documents, $((total / 1024)) KiB"
