#!/bin/sh
# A snapshot of the member on this node into DIRECTORY, and none of those older than KEEP_DAYS.
set -eu
export ETCDCTL_API=3
# From 3.5 on what looks into a snapshot is a program of its own.
tool=etcdctl
if command -v etcdutl >/dev/null; then tool=etcdutl; fi
file="$DIRECTORY/$(date -u +%Y-%m-%dT%H%M%SZ).db"
# Half a snapshot helps nobody: neither that of a job that was killed, nor this one where it fails.
rm -f "$DIRECTORY"/*Z.db.part "$DIRECTORY"/*Z.db.part.part
trap 'rm -f "$file.part" "$file.part.part"' EXIT
etcdctl snapshot save "$file.part" >/dev/null
$tool snapshot status "$file.part"
mv "$file.part" "$file"
find "$DIRECTORY" -name '*Z.db' -mtime "+$KEEP_DAYS" -delete
echo "saved $file"
