# syntax=docker/dockerfile:1
# Ringfence in an image that holds one static program, the certificates it trusts, and its settings. No shell, no
# package manager, nobody to become. Build it for another machine with `--platform`: the compiler of that platform
# builds for itself.
ARG RUST_VERSION=1.95
FROM rust:${RUST_VERSION}-slim-bookworm AS build
# A C library inside the program is what lets the final image be empty.
ENV RUSTFLAGS="-C target-feature=+crt-static" \
    CARGO_INCREMENTAL=0
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
WORKDIR /src
# `--target` keeps the flags above away from procedural macros, which must stay dynamic.
RUN rustc -vV | sed -n 's/^host: //p' >/target-triple

# The dependencies are a layer of their own: it changes when the manifest does, not with every edit. Our own crate,
# empty here, is swept out again so that nothing of it can be mistaken for the real one. The benches stay empty: the
# manifest names them, and nothing here builds them.
COPY Cargo.toml Cargo.lock ./
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    mkdir src benches && touch src/lib.rs benches/stages.rs benches/paths.rs benches/ws_relay.rs && echo 'fn main() {}' >src/main.rs \
 && cargo build --release --locked --target "$(cat /target-triple)" \
 && cargo clean --release --target "$(cat /target-triple)" --package ringfence \
 && rm -r src

COPY src src
COPY config config
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    cargo build --release --locked --target "$(cat /target-triple)" --bin ringfence \
 && install -D -t /out "target/$(cat /target-triple)/release/ringfence" \
 && cargo clean --release --target "$(cat /target-triple)" --package ringfence \
 && mkdir /out/data

FROM scratch
LABEL org.opencontainers.image.title="Ringfence" \
      org.opencontainers.image.description="A phone voice-bot server that never spends more on a call than you allowed." \
      org.opencontainers.image.licenses="MIT OR Apache-2.0"
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/ringfence /ringfence
COPY config /config
# The ledger. A number, not a name: an empty image has no /etc/passwd to look names up in.
COPY --from=build --chown=65532:65532 /out/data /data
# Paths in the settings are relative to here: config/ringfence.toml, data/ringfence.db.
WORKDIR /
USER 65532:65532
VOLUME /data
EXPOSE 8080
# Finish the calls that are on, politely; see "Stopping" in docs/operations.md.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s --retries=3 CMD ["/ringfence", "healthcheck"]
ENTRYPOINT ["/ringfence"]
CMD ["serve"]
