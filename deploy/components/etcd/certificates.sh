#!/bin/sh
# The certificate authority of this etcd, a certificate for its members and one for each user, as Secrets. What is there already
# stays, but a certificate that has fewer than 90 days left is made again, and so is that of the members when their addresses
# change. MEMBERS has the addresses of the members, with commas between. Needs openssl and kubectl.
set -eu
namespace=kube-system
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

# The file of a Secret; nothing where there is no such Secret.
read_secret() {
    kubectl --namespace "$namespace" get secret "$1" --ignore-not-found \
        --output "go-template={{index .data \"$2\" | base64decode}}" >"$3.new"
    if [ -s "$3.new" ]; then mv "$3.new" "$3"; else rm "$3.new"; fi
}

write_secret() {
    name=$1
    shift
    kubectl --namespace "$namespace" create secret generic "$name" "$@" --dry-run=client --output yaml |
        kubectl apply --filename -
}

read_secret kube-ipam-etcd-ca ca.crt ca.crt
read_secret kube-ipam-etcd-ca ca.key ca.key
if [ ! -e ca.crt ] || [ ! -e ca.key ]; then
    # Two setups at once must not make an authority each: create fails where the other one was first.
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 7300 \
        -subj "/CN=kube-ipam etcd" -keyout ca.key -out ca.crt 2>/dev/null
    kubectl --namespace "$namespace" create secret generic kube-ipam-etcd-ca --from-file=ca.crt --from-file=ca.key
fi

# sign SECRET USER [EXTENSION...]: a certificate with its key and the authority, kept in a Secret.
sign() {
    secret=$1 user=$2
    shift 2
    printf '%s\n' "basicConstraints=CA:FALSE" "keyUsage=critical,digitalSignature" "$@" >extensions
    wanted=$(sha256sum <extensions | cut -c1-16)
    rm -f tls.crt made-for
    read_secret "$secret" tls.crt tls.crt
    read_secret "$secret" made-for made-for
    if [ -e tls.crt ] && [ "$(cat made-for 2>/dev/null)" = "$wanted" ] &&
        openssl verify -CAfile ca.crt tls.crt >/dev/null 2>&1 &&
        openssl x509 -in tls.crt -noout -checkend $((90 * 86400)) >/dev/null; then
        echo "$secret: unchanged"
        return
    fi
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=$user" \
        -keyout tls.key -out tls.csr 2>/dev/null
    openssl x509 -req -in tls.csr -CA ca.crt -CAkey ca.key -set_serial "0x$(openssl rand -hex 16)" -days 365 \
        -extfile extensions -out tls.crt 2>/dev/null
    printf %s "$wanted" >made-for
    write_secret "$secret" --from-file=ca.crt --from-file=tls.crt --from-file=tls.key --from-file=made-for
}

names=IP:127.0.0.1
for address in $(echo "$MEMBERS" | tr ',' ' '); do
    names="$names,IP:$address"
done
sign kube-ipam-etcd-members members "extendedKeyUsage=serverAuth,clientAuth" "subjectAltName=$names"
sign kube-ipam-etcd-root root "extendedKeyUsage=clientAuth"
sign kube-ipam-etcd kube-ipam-node "extendedKeyUsage=clientAuth"
sign kube-ipam-etcd-reclaim kube-ipam-reclaim "extendedKeyUsage=clientAuth"
sign kube-ipam-etcd-reader kube-ipam-reader "extendedKeyUsage=clientAuth"
