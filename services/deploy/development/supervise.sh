#!/bin/sh
# PID 1 of a development container: runs the program, runs it again on HUP (which Tilt sends after a live update), and
# passes TERM on. What ends by itself ends the container, with its exit code.
child=0 again=0
trap 'again=1; kill -TERM "$child" 2>/dev/null' HUP
trap 'again=0; kill -TERM "$child" 2>/dev/null' TERM INT
while :; do
    "$@" &
    child=$!
    wait "$child"
    code=$?
    # A signal ends `wait` early: the program may still be about to stop.
    while kill -0 "$child" 2>/dev/null; do
        wait "$child"
        code=$?
    done
    [ "$again" = 1 ] || exit "$code"
    again=0
    echo "supervise: starting $1 again" >&2
done
