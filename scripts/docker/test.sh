#!/bin/sh
# What docker/Dockerfile does, without a container engine: compile llama.cpp, install everything into
# a fresh environment, serve from it, check what is served. The wheel is kept; the rest is made anew.
#
#     PYTHON=an interpreter with the development dependencies  test.sh
set -eu
cd "$(dirname "$0")/../.."
wheels=.docker-test/wheels
environment=$PWD/.docker-test/llm_api

if ! ls $wheels/llama_cpp_python-*.whl >/dev/null 2>&1; then
    echo "Compiling llama.cpp for every kind of CPU: some 10 minutes on two cores."
    scripts/docker/build_llama.sh cpu $wheels >/dev/null
fi
scripts/docker/install.sh "$environment" $wheels

echo "Kernels of this machine:"
"$environment/bin/llm-api" doctor | grep CPU
"$PYTHON" -m scripts.test_docker_deployment --local --environment "$environment"
