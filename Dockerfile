# The program and nothing else: a static binary, the CA roots, no shell, no package manager.
#
#   docker build -t gitops-updater .
#     compiles for the machine's own architecture
#
#   docker buildx build --build-arg BINARY=prebuilt --platform linux/amd64,linux/arm64 .
#     packs dist/linux-<arch>/gitops-updater, so that a release image holds the very bytes that
#     were released and attested, and no architecture is emulated
ARG BINARY=build

FROM rust:1.95-alpine@sha256:606fd313a0f49743ee2a7bd49a0914bab7deedb12791f3a846a34a4711db7ed2 AS build
# A C compiler's headers, for the cryptography of rustls.
RUN apk add --no-cache musl-dev
WORKDIR /src
COPY . .
RUN cargo build --locked --profile dist --bin gitops-updater \
    && mkdir /out \
    && cp target/dist/gitops-updater /out/gitops-updater

FROM scratch AS prebuilt
ARG TARGETARCH
COPY --chmod=0755 dist/linux-${TARGETARCH}/gitops-updater /out/gitops-updater

FROM ${BINARY} AS binary

# The roots are the same files on every architecture.
FROM --platform=$BUILDPLATFORM rust:1.95-alpine@sha256:606fd313a0f49743ee2a7bd49a0914bab7deedb12791f3a846a34a4711db7ed2 AS roots
RUN apk add --no-cache ca-certificates \
    && mkdir -p /out/cache /out/repository /out/tmp \
    && chmod 1777 /out/tmp \
    && cp /etc/ssl/certs/ca-certificates.crt /out/

FROM scratch
ARG VERSION=0.0.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="gitops-updater" \
      org.opencontainers.image.description="Proposes updates of a Flux repository in a safe order, and watches each until the cluster is proven healthy" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=roots /out/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
# Writable for the user below; with a read-only root, mount something there or go without a cache.
COPY --from=roots --chown=65532:65532 /out/cache /cache
COPY --from=roots --chown=65532:65532 /out/repository /repository
# For answers that are too large for memory where there is no cache.
COPY --from=roots --chmod=1777 /out/tmp /tmp
COPY --from=binary /out/gitops-updater /usr/bin/gitops-updater
# The program verifies certificates with the roots of the system, which this image does not otherwise have.
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt \
    XDG_CACHE_HOME=/cache
USER 65532:65532
WORKDIR /repository
ENTRYPOINT ["/usr/bin/gitops-updater"]
CMD ["detect", "."]
