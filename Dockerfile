# A static binary and the public certificate authorities, as a user without rights, with nothing to write but its volume:
#   docker build -t siemd .
#   docker run --read-only --cap-drop ALL -v siemd:/var/lib/siemd -v /etc/siemd:/etc/siemd:ro siemd
FROM --platform=$BUILDPLATFORM golang:1.26-bookworm AS build
ARG TARGETOS TARGETARCH VERSION=dev
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH go build -trimpath -buildvcs=false -pgo=bench/siemd.pgo \
    -ldflags "-s -w -X github.com/adrian207/siemd/agent/cli.version=$VERSION" -o /out/usr/bin/siemd . \
 && install -d -m 0750 -o 65532 -g 65532 /out/etc/siemd /out/etc/siemd/conf.d \
 && install -m 0640 -o 65532 -g 65532 packaging/etc/siemd.yaml /out/etc/siemd/siemd.yaml \
 && install -d -m 0700 -o 65532 -g 65532 /out/var/lib/siemd \
 && install -D -m 0644 /etc/ssl/certs/ca-certificates.crt /out/etc/ssl/certs/ca-certificates.crt

FROM scratch
LABEL org.opencontainers.image.title="siemd" \
      org.opencontainers.image.source="https://github.com/adrian207/siemd" \
      org.opencontainers.image.licenses="MIT"
COPY --from=build /out/ /
USER 65532:65532
VOLUME /var/lib/siemd
# Longer than shutdown_timeout is for whoever stops it: docker stop -t 30
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s CMD ["/usr/bin/siemd", "status", "--socket", "/var/lib/siemd/siemd.sock"]
ENTRYPOINT ["/usr/bin/siemd"]
CMD ["run", "-c", "/etc/siemd/siemd.yaml"]
