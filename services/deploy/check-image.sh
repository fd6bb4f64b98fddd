#!/bin/sh
# What only an engine can tell of an image: services/deploy/check-image.sh flotilla:development
# Its size, what is in it, that it runs without any right, serves its page, and stops at once.
set -eu
image=${1:?an image}
size_mb_max=${SIZE_MB_MAX:-80} stop_ms_max=${STOP_MS_MAX:-3000} failed=0 container=
trap '[ -z "$container" ] || docker rm --force "$container" >/dev/null' EXIT

check() { # what, expected, found
    if [ "$2" = "$3" ]; then echo "ok     $1: $3"; else echo "FAILED $1: $3, not $2" && failed=1; fi
}
config() { docker inspect --format "$1" "$image"; }
milliseconds() { date +%s%3N; }
# shellcheck disable=SC2016 # awk's, not the shell's
at_most() { awk -v it="$1" -v most="$2" 'BEGIN { print (it <= most) ? "at most " most : it }'; }

size=$(($(config '{{.Size}}') / 1000000))
check "size in MB ($size)" "at most $size_mb_max" "$(at_most "$size" "$size_mb_max")"
check 'user' 65532:65532 "$(config '{{.Config.User}}')"
check 'entry point' '[/usr/local/bin/flotilla]' "$(config '{{.Config.Entrypoint}}')"
for label in version revision; do
    value=$(config "{{index .Config.Labels \"org.opencontainers.image.$label\"}}")
    check "label $label ($value)" there "${value:+there}"
done
check 'shells' none "$(docker create "$image" | { read -r id; docker export "$id" | tar --list | grep -E '(^|/)(ba|da|)sh$|busybox|/apt-get$' || echo none; docker rm "$id" >/dev/null; })"

as_deployed() { docker run --read-only --cap-drop ALL --security-opt no-new-privileges "$@"; }
check 'it starts: --version' flotilla "$(as_deployed --rm "$image" --version | cut -d ' ' -f 1)"

# Without servers it is alive, not ready, and shows its page.
container=$(as_deployed --detach --publish 127.0.0.1::8080 --env KAFKA_BROKERS=127.0.0.1:1 "$image" run bff)
address=$(docker port "$container" 8080 | head -n 1)
status() { curl --silent --output /dev/null --max-time 5 --write-out '%{http_code}' "http://$address$1" || true; }
tries=0
until [ "$(status /live)" = 200 ] || [ "$tries" = 50 ]; do sleep 0.1 && tries=$((tries + 1)); done
check '/live' 200 "$(status /live)"
check '/ready' 503 "$(status /ready)"
check 'the page' 200 "$(status /graphiql/graphiql.min.js)"
began=$(milliseconds)
docker stop --time 20 "$container" >/dev/null
took=$(($(milliseconds) - began))
check "stop in ms ($took)" "at most $stop_ms_max" "$(at_most "$took" "$stop_ms_max")"
check 'exit code' 0 "$(docker inspect --format '{{.State.ExitCode}}' "$container")"
exit "$failed"
