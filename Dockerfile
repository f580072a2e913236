# The node's program and nothing else: `make image`. With `--target author`, what tests and checks policies in CI.
FROM scratch AS author
COPY target/kube-ipam target/kube-ipam-policy /
ENTRYPOINT ["/kube-ipam-policy"]

FROM scratch
COPY target/kube-ipam /kube-ipam
ENTRYPOINT ["/kube-ipam"]
