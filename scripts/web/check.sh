#!/usr/bin/env bash
# Builds the page as it is committed, in a copy, and compares every byte. Runs the page's own tests.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT

mkdir -p "$copy/llm_api/api"
tar -c --exclude=node_modules web | tar -x -C "$copy"
cd "$copy/web"
# Without a registry there is nothing to build with; a test still compares the sources' digest.
npm install --no-package-lock --no-audit --no-fund --loglevel=error ||
    { echo "npm cannot install here: the built page is not compared byte by byte"; exit 0; }
npm test --silent
npm run --silent build -- --logLevel warn
cd - >/dev/null
diff -r "$copy/llm_api/api/page" llm_api/api/page ||
    { echo "llm_api/api/page is not what web/ builds; run: make web" >&2; exit 1; }
echo "the built page is current"
