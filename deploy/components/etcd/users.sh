#!/bin/sh
# Users and roles, once etcd answers. May be run again: what is there already stays. ENDPOINTS and the other variables of etcdctl say
# where etcd is, with the certificate of root.
set -eu
export ETCDCTL_API=3
attempts=60
until etcdctl endpoint health >/dev/null 2>&1; do
    attempts=$((attempts - 1))
    [ "$attempts" -gt 0 ] || { etcdctl endpoint health; exit 1; }
    sleep 5
done

# Repeats a command that fails where its work is done already: the text says so.
once() {
    if ! told=$("$@" 2>&1); then
        case $told in
        *"already exists"* | *"is already granted"*) ;;
        *) echo "$told" >&2; exit 1 ;;
        esac
    fi
}

once etcdctl role add kube-ipam-write
etcdctl role grant-permission kube-ipam-write readwrite /kube-ipam/ --prefix >/dev/null
once etcdctl role add kube-ipam-read
etcdctl role grant-permission kube-ipam-read read /kube-ipam/ --prefix >/dev/null
# Their names are those in their certificates; nobody has a password.
once etcdctl user add root --no-password
once etcdctl user grant-role root root
for user in kube-ipam-node kube-ipam-reclaim; do
    once etcdctl user add "$user" --no-password
    once etcdctl user grant-role "$user" kube-ipam-write
done
once etcdctl user add kube-ipam-reader --no-password
once etcdctl user grant-role kube-ipam-reader kube-ipam-read
once etcdctl auth enable
echo "etcd has its users"
