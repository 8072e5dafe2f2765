FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked

FROM debian:bookworm-slim AS pgbouncer
RUN apt-get update \
    && apt-get install -y --no-install-recommends pgbouncer \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --no-create-home --shell /usr/sbin/nologin bouncer
USER bouncer
EXPOSE 6432
ENTRYPOINT ["/usr/sbin/pgbouncer", "/etc/pgbouncer/pgbouncer.ini"]

FROM debian:bookworm-slim AS cache-proxy
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --no-create-home --shell /usr/sbin/nologin cache-proxy
COPY --from=build /src/target/release/cache-proxy /usr/local/bin/cache-proxy
COPY config/cache-proxy.toml /etc/cache-proxy/cache-proxy.toml
USER cache-proxy
EXPOSE 8080 9901
ENTRYPOINT ["/usr/local/bin/cache-proxy"]
CMD ["serve", "--config", "/etc/cache-proxy/cache-proxy.toml"]
