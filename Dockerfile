# One static program per image, built on the host by `make build`: no base image
# is pulled, and nothing else can be outdated or attacked. The numeric user lets
# the kubelet see that it is not root.
FROM scratch AS agent
COPY bin/agent /agent
USER 65532:65532
ENTRYPOINT ["/agent"]

FROM scratch AS operator
COPY bin/operator /operator
USER 65532:65532
ENTRYPOINT ["/operator"]
