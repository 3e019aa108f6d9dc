# One image for every role: `docker run … superapp`, `… superapp chat`. docker-compose.yml runs all of them.
#
#   docker build -t superapp .
#   docker run --rm --read-only -p 127.0.0.1:8080:8080 -v superapp-data:/data superapp
#
# PROFILE=release compiles in a third of the time of `dist`, which is what ships.

ARG PROFILE=dist

# The manifests, with empty sources: what the dependencies depend on. Its files are the same for as long as no manifest changes.
FROM debian:bookworm-slim AS manifests
WORKDIR /src
COPY . .
RUN find . -type f ! -name Cargo.toml ! -name Cargo.lock -delete \
    && find . -mindepth 2 -name Cargo.toml -printf '%h\n' | while read -r crate; do \
        mkdir -p "$crate/src" && touch "$crate/src/lib.rs" && echo 'fn main() {}' | tee "$crate/src/main.rs" >"$crate/build.rs" || exit 1; \
    done \
    && find . -type d -empty -delete

FROM rust:1.95-bookworm AS build
ARG PROFILE
RUN apt-get update \
    && apt-get install -y --no-install-recommends cmake \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
# The dependencies, in a layer of their own. On arm64 pages may have 64 KiB, which jemalloc must know when it is compiled.
COPY --from=manifests /src .
RUN if [ "$(uname -m)" = aarch64 ]; then export JEMALLOC_SYS_WITH_LG_PAGE=16; fi \
    && cargo build --locked --profile "$PROFILE" -p superapp \
    && find . -name '*.rs' -not -path './target/*' -delete
# Our own code. What was made of the empty sources is younger than it, so it has to look changed.
COPY . .
RUN find . -name '*.rs' -not -path './target/*' -exec touch {} + \
    && if [ "$(uname -m)" = aarch64 ]; then export JEMALLOC_SYS_WITH_LG_PAGE=16; fi \
    && cargo build --locked --profile "$PROFILE" -p superapp \
    && cp "target/$PROFILE/superapp" /usr/local/bin/superapp

# Beside the tools of PostgreSQL, for backups: the service `tools` of docker-compose.yml.
FROM postgres:17 AS tools
COPY --from=build /usr/local/bin/superapp /usr/local/bin/superapp
ENTRYPOINT ["superapp"]
CMD ["verify"]

FROM debian:bookworm-slim
LABEL org.opencontainers.image.title="SuperApp" \
    org.opencontainers.image.description="Accounts, chat and analytics behind one door" \
    org.opencontainers.image.licenses="MIT"
# A number as user, so that an orchestrator can see that it is not root; /data is for the SQLite files of all roles in one container.
RUN groupadd --system --gid 10001 superapp \
    && useradd --system --uid 10001 --gid superapp --home-dir /data --shell /usr/sbin/nologin superapp \
    && install -d -o superapp -g superapp -m 750 /data
# For TLS to PostgreSQL and Redis.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /usr/local/bin/superapp /usr/local/bin/superapp
# Within a container "everywhere" is the container's own network. Chat is one replica here: more of them are more containers.
ENV SUPERAPP__DATA_DIR=/data \
    SUPERAPP__GATEWAY__LISTEN=0.0.0.0:8080 \
    SUPERAPP__USERS__LISTEN=0.0.0.0:3001 \
    SUPERAPP__CHAT__LISTEN=0.0.0.0:3002 \
    SUPERAPP__ANALYTICS__LISTEN=0.0.0.0:3003
USER 10001:10001
WORKDIR /data
EXPOSE 8080 3001 3002 3003
# SIGTERM drains for gateway.drain_s (30 s), so stop with more patience: `docker stop -t 40`.
STOPSIGNAL SIGTERM
# Asks the gateway; a container that plays one role alone names it: `superapp health chat`.
HEALTHCHECK --interval=5s --timeout=5s --start-period=30s --retries=3 CMD ["superapp", "health"]
ENTRYPOINT ["superapp"]
CMD ["all"]
