# The binary and nothing else: `make image`.
FROM scratch
COPY target/kube-ipam /kube-ipam
ENTRYPOINT ["/kube-ipam"]
