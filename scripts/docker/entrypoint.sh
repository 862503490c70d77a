#!/bin/sh
# What a container of llm_api runs first: becomes `llm-api` with the given arguments.
#
# The server listens on all addresses of its container, which others reach, so it wants a key. Where
# the port is published on the loopback address of the host alone (PUBLISHED_ON), it needs none; then
# the names in the Host header are checked, against web pages that pretend to be this machine.
set -eu
umask 027

if [ "${PUBLISHED_ON:-}" = 127.0.0.1 ] && [ -z "${API_KEY:-}${API_KEYS_FILE:-}" ]; then
    export ALLOW_UNAUTHENTICATED=true
    export ALLOWED_HOSTS="${ALLOWED_HOSTS:-api,replica,gateway}"
fi
exec llm-api "$@"
