#!/bin/sh
# A snapshot of the member on this node into DIRECTORY, and none of those older than KEEP_DAYS.
set -eu
export ETCDCTL_API=3
file="$DIRECTORY/$(date -u +%Y-%m-%dT%H%M%SZ).db"
etcdctl snapshot save "$file.part" >/dev/null
etcdctl snapshot status "$file.part"
mv "$file.part" "$file"
find "$DIRECTORY" -name '*Z.db' -mtime "+$KEEP_DAYS" -delete
echo "saved $file"
