#!/bin/sh
# Before a member starts: makes its data from DIRECTORY/restore.db, if there is such a file, and keeps the former data beside
# it. The file has to be the same on the node of every member, and no member may run meanwhile.
set -eu
export ETCDCTL_API=3
snapshot="$DIRECTORY/restore.db"
[ -e "$snapshot" ] || exit 0
# From 3.5 on a program of its own.
tool=etcdctl
if command -v etcdutl >/dev/null; then tool=etcdutl; fi
now=$(date -u +%Y-%m-%dT%H%M%SZ)
cluster=
for address in $(echo "$MEMBERS" | tr ',' ' '); do
    cluster="$cluster${cluster:+,}$address=https://$address:$PEER_PORT"
done
# A restore that was cut short has left no data under the real name.
rm -rf "$DATA/restoring"
$tool snapshot restore "$snapshot" --data-dir "$DATA/restoring" --name "$MEMBER" --initial-cluster "$cluster" \
    --initial-cluster-token "kube-ipam" --initial-advertise-peer-urls "https://$MEMBER:$PEER_PORT"
[ ! -e "$DATA/member" ] || mv "$DATA/member" "$DATA/before-$now"
mv "$DATA/restoring/member" "$DATA/member"
rm -rf "$DATA/restoring"
mv "$snapshot" "$DIRECTORY/restored-$now.db"
echo "restored from a snapshot; the former data is in before-$now"
