#!/bin/sh
# Compile llama.cpp into a wheel that runs at full speed on any machine of this architecture: the
# kernels of each kind of CPU lie in a file of their own, and the best is loaded at the start.
#
#     build_llama.sh cpu|cuda FOLDER_OF_WHEELS
#
# Needs a C++ compiler, for cuda NVIDIA's as well; cmake comes along. PYTHON names the interpreter.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)

case ${1:-} in
cpu) gpu=OFF ;;
cuda) gpu=ON ;;
*)
    echo "build_llama.sh: say cpu or cuda, not '${1:-}'" >&2
    exit 2
    ;;
esac

export CMAKE_ARGS="-DGGML_NATIVE=OFF -DGGML_BACKEND_DL=ON -DGGML_CPU_ALL_VARIANTS=ON -DGGML_CUDA=$gpu"

# Without pip's cache, which does not know that wheels of one version differ.
"${PYTHON:-python3}" -m pip wheel --no-deps --no-cache-dir --wheel-dir "$2" \
    "--config-settings=cmake.define.CMAKE_PROJECT_INCLUDE=$root/scripts/setup/llama.cmake" \
    "$(grep '^llama_cpp_python==' "$root/constraints.txt")"
