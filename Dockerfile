FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked

FROM debian:bookworm-slim AS pgbouncer
RUN apt-get update \
    && apt-get install -y --no-install-recommends pgbouncer \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 65531 --no-create-home --shell /usr/sbin/nologin bouncer
USER 65531
EXPOSE 6432
ENTRYPOINT ["/usr/sbin/pgbouncer", "/etc/pgbouncer/pgbouncer.ini"]

# Nothing is installed: trusted authorities are part of the program. It runs as nobody in particular, writes nothing but what
# disk.path and warm.snapshot name, and is fine with a root file system that cannot be written to.
FROM debian:bookworm-slim AS cache-proxy
COPY --from=build /src/target/release/cache-proxy /usr/local/bin/cache-proxy
COPY config/image.toml /etc/cache-proxy/cache-proxy.toml
USER 65532:65532
EXPOSE 8080 9901
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=3s --start-period=10s --retries=5 CMD ["/usr/local/bin/cache-proxy", "ready"]
ENTRYPOINT ["/usr/local/bin/cache-proxy"]
CMD ["serve", "--config", "/etc/cache-proxy/cache-proxy.toml"]
