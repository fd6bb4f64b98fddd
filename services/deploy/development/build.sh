#!/bin/sh
# Builds the program for development containers into target/tilt/out: `build.sh docker` with the image's own toolchain
# (nothing but Docker is needed here), `build.sh host` with this machine's cargo and Maven (its C library must not be
# newer than the image's, Debian 12's).
set -eu
how=${1:?docker or host}
root=$(cd "$(dirname "$0")/../../.." && pwd)
cd "$root"
out=target/tilt/out
mkdir -p "$out/page" target/tilt/cargo

# Writing a file that has not changed would make Tilt build the image again instead of updating what runs.
put() { cmp -s "$1" "$2" || install -m "$3" "$1" "$2"; }

# Debug information is most of the file, and would be copied into the cluster after every edit.
set -- build --locked --package fleet --bin flotilla --target-dir target/tilt --config 'profile.dev.strip="symbols"'
case $how in
docker)
    export DOCKER_BUILDKIT=1
    # Behind a proxy that signs connections itself: FLOTILLA_CA names its certificate.
    docker build --quiet --target toolchain --tag flotilla-toolchain - <Dockerfile >/dev/null
    docker run --rm --user "$(id -u):$(id -g)" --volume "$root:/src" --env CARGO_HOME=/src/target/tilt/cargo \
        ${FLOTILLA_CA:+--volume "$FLOTILLA_CA:/etc/ssl/certs/ca-certificates.crt:ro"} flotilla-toolchain cargo "$@"
    [ -e target/tilt/page/usr ] || docker build ${FLOTILLA_CA:+--secret "id=ca,src=$FLOTILLA_CA"} --target page-files \
        --output target/tilt/page .
    page=target/tilt/page/usr/share/flotilla/page
    ;;
host)
    cargo "$@"
    page=target/tilt/page/web
    [ -e "$page" ] || mvn --batch-mode --quiet --strict-checksums --file services/fleet/stack/pom.xml \
        "-Dinto=$root/target/tilt/page" dependency:unpack@web
    ;;
*) echo "build.sh: $how is neither docker nor host" >&2 && exit 2 ;;
esac

find "$page" -type f | while read -r file; do put "$file" "$out/page/${file##*/}" 0644; done
put services/deploy/development/supervise.sh "$out/supervise.sh" 0755
put target/tilt/debug/flotilla "$out/flotilla" 0755
