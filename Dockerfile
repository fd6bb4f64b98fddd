# One image with every program of the fleet: `docker run flotilla run bff`, `… migrate`, `… --help`.
#
#   docker build --tag flotilla:development .
#
# A release is built for both architectures, the same bytes from the same commit, with a list of what is inside:
#
#   docker buildx build --platform linux/amd64,linux/arm64 --sbom=true --provenance=mode=max \
#       --build-arg VERSION=1.4.0 --build-arg REVISION="$(git rev-parse HEAD)" \
#       --build-arg SOURCE_DATE_EPOCH="$(git log -1 --format=%ct)" \
#       --output type=image,name=registry.example/flotilla:1.4.0,push=true,rewrite-timestamp=true .
#
# Needs BuildKit as of Docker 20.10 and nothing newer: no "syntax" line (it fetches an image before anything else), no
# heredocs, no --link, no --chmod. The older builder has no cache mounts; without them every change compiles everything.
# Behind a proxy that signs connections itself: --secret id=ca,src=<its certificate>.

# A release names each with its digest (--build-arg RUNTIME_IMAGE=…@sha256:…): tags can be moved.
ARG RUST_IMAGE=rust:1.95.0-slim-bookworm
ARG MAVEN_IMAGE=maven:3.9.11-eclipse-temurin-17
ARG RUNTIME_IMAGE=gcr.io/distroless/cc-debian12:nonroot

# --- What compiles the fleet. `tilt up` compiles with this stage too.
FROM ${RUST_IMAGE} AS toolchain
# The Kafka client is C and C++, on OpenSSL and zlib.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends g++ libssl-dev make pkg-config zlib1g-dev \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src

# --- The program, and the libraries that it was linked to.
FROM toolchain AS build
COPY Cargo.toml Cargo.lock ./
COPY shared-events shared-events
COPY services services
ARG TARGETARCH
ARG VERSION=0.0.0
ARG REVISION=unknown
# `target` is shared by all builds on this machine, hence a folder for each architecture, and a copy at the end.
RUN --mount=type=secret,id=ca,target=/etc/ssl/certs/ca-certificates.crt \
    --mount=type=cache,id=flotilla-cargo,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,id=flotilla-target,target=/target,sharing=locked \
    CARGO_PROFILE_RELEASE_DEBUG=0 CARGO_PROFILE_RELEASE_STRIP=symbols \
    FLOTILLA_VERSION="${VERSION}" FLOTILLA_REVISION="${REVISION}" \
    cargo build --locked --release --package fleet --bin flotilla --target-dir "/target/${TARGETARCH}" \
 && install -D "/target/${TARGETARCH}/release/flotilla" /image/usr/local/bin/flotilla
# What the runtime image has not, with its entry in the list of packages, where scanners look for it.
RUN set -eu; cd /image; \
    for library in $(ldd usr/local/bin/flotilla | awk '$3 ~ "^/" { print $3 }'); do \
        package=$(dpkg --search "*/${library##*/}" | head -n 1 | cut -d : -f 1); \
        case "$package" in '') echo "no package has $library" >&2; exit 1 ;; libc6|libgcc-s1) continue ;; esac; \
        install -D --mode=0644 --target-directory="usr/lib/$(uname -m)-linux-gnu" "$library"; \
        mkdir -p var/lib/dpkg/status.d; \
        dpkg --status "$package" > "var/lib/dpkg/status.d/$package"; \
    done
ARG SOURCE_DATE_EPOCH=0
RUN find /image -exec touch --no-dereference --date="@${SOURCE_DATE_EPOCH}" {} +

# --- The files of the GraphiQL page.
FROM ${MAVEN_IMAGE} AS page
WORKDIR /src
COPY services/fleet/stack/pom.xml ./
# Of all that the development stack consists of, only the page; Maven asks Java, not the system, whom to trust.
RUN --mount=type=secret,id=ca,target=/run/secrets/ca \
    --mount=type=cache,id=flotilla-maven,target=/root/.m2/repository,sharing=locked \
    if [ -s /run/secrets/ca ]; then \
        keytool -importcert -noprompt -cacerts -storepass changeit -alias proxy -file /run/secrets/ca; \
    fi \
 && mvn --batch-mode --quiet --strict-checksums -Dinto=/src dependency:unpack@web \
 && mkdir -p /image/usr/share/flotilla/page \
 && find /src/web -type f -exec cp {} /image/usr/share/flotilla/page/ \;
ARG SOURCE_DATE_EPOCH=0
RUN find /image -exec touch --no-dereference --date="@${SOURCE_DATE_EPOCH}" {} +

# --- The same files alone, which `tilt up` takes out of here.
FROM scratch AS page-files
COPY --from=page /image/ /

# --- What is deployed: no shell, no package manager, nobody's home.
FROM ${RUNTIME_IMAGE} AS flotilla
COPY --from=page-files / /
COPY --from=build /image/ /
# In a container nobody could reach 127.0.0.1. Where a service without GraphQL answers is said by who runs it
# (FLOTILLA_HEALTH): said here, the BFF would listen at one address twice.
ENV FLOTILLA_ASSETS=/usr/share/flotilla/page \
    FLOTILLA_HTTP=0.0.0.0:8080
EXPOSE 8080
USER 65532:65532
ARG VERSION=0.0.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="flotilla" \
      org.opencontainers.image.description="Event-sourced microservices on Kafka: every service, one image" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
ENTRYPOINT ["/usr/local/bin/flotilla"]
CMD ["--help"]
