# The one door to this project. `make` lists the targets.
#
# llama.cpp is compiled for this machine's CPU. For a GPU, name the backend in CMAKE_ARGS, which the
# build reads from the environment, and start from an empty environment:
#     make clean && CMAKE_ARGS="-DGGML_CUDA=on" make setup        (NVIDIA; needs the CUDA toolkit)
#     make clean && CMAKE_ARGS="-DGGML_METAL=on" make setup       (Apple)
#     make clean && CMAKE_ARGS="-DGGML_VULKAN=on" make setup      (Vulkan)
#
# Embedding models but the default one run on PyTorch. On a machine without a GPU, name the index of
# CPU builds that PyTorch documents, or gigabytes of GPU packages come along where the usual index has
# no other build:
#     make embeddings TORCH_INDEX_URL=https://...

PYTHON ?= python3
TORCH_INDEX_URL ?=
VENV := .venv
BIN := $(VENV)/bin
PACKAGES_HINT := on Debian or Ubuntu: sudo apt-get install -y build-essential python3-venv

.DEFAULT_GOAL := help
.PHONY: help setup run embeddings test lint fmt type web web-check postman bench bench-peers stress clients docker docker-test clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.runtime $(VENV)/.weights ## Create .venv with all it takes to run, the default model included

run: setup ## Set up, then serve on http://127.0.0.1:8000
	@$(BIN)/python -m llm_api

embeddings: $(VENV)/.embeddings ## Add PyTorch: embedding models of any kind, rerankers, transformers

test: $(VENV)/.dev ## Set up what tests need, run every test, several at a time
	@# Several at a time disturb each other: what fails then is judged by itself, and both are shown.
	$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder || { \
		status=$$?; [ $$status -eq 1 ] || exit $$status; \
		echo "==> what failed beside other tests, once more by itself"; \
		$(BIN)/python -m pytest --last-failed --last-failed-no-failures none; }

lint: $(VENV)/.dev ## Check style and formatting, the Dockerfile, the compose files, the workflow
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/hadolint docker/Dockerfile
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml docker/gpu.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/ci.yml

fmt: $(VENV)/.dev ## Format, and fix what can be fixed
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

type: $(VENV)/.dev ## Check types
	$(BIN)/mypy

web: web/node_modules/.installed ## Build the page of web/ into llm_api/api/page; needs Node 20.19 or newer
	@cd web && npm test && npm run --silent build

web-check: ## Check that the committed page is what web/ builds, byte by byte
	@scripts/web/check.sh

postman: $(VENV)/.runtime ## Write postman_collection.json anew, out of the OpenAPI schema
	@$(BIN)/python -m scripts.postman

bench: $(VENV)/.embeddings ## Compare speed with llama.cpp's servers and LiteLLM; ARGS="--help" says how
	@$(BIN)/python -m scripts.bench $(ARGS)

bench-peers: $(VENV)/.runtime ## Build the servers that bench compares with, once; about 10 minutes
	@$(BIN)/python -m scripts.bench.build_peers

stress: $(VENV)/.runtime ## Try what a server must bear; ARGS="--help" says what
	@$(BIN)/python -m scripts.stress $(ARGS)

clients: $(VENV)/.runtime ## Try real clients, each installed as pinned; ARGS="--help" says which
	@$(BIN)/python -m scripts.clients $(ARGS)

docker: ## Build the image and serve with Qdrant, on http://127.0.0.1:8000
	@docker compose up --build

docker-test: $(VENV)/.dev ## Build what the image holds without a container engine, and check it; 15 minutes
	@PYTHON=$(abspath $(BIN)/python) TORCH_INDEX_URL=$(TORCH_INDEX_URL) scripts/docker/test.sh

# Exact versions stand in package.json, those of what they need as well; a lock would name a registry.
web/node_modules/.installed: web/package.json
	@cd web && npm install --no-package-lock --no-audit --no-fund --loglevel=error
	@touch $@

clean: ## Remove .venv and caches; downloaded models stay
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache build dist

# The file that the making of an environment writes last.
$(BIN)/pip:
	@command -v $(PYTHON) >/dev/null || \
		{ echo "llm_api needs Python 3.11 or newer, and '$(PYTHON)' is not there; $(PACKAGES_HINT)" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "llm_api needs Python 3.11 or newer; '$(PYTHON)' is older. Name another one: make setup PYTHON=python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "'$(PYTHON)' cannot create virtual environments; $(PACKAGES_HINT)" >&2; exit 1; }
	@echo "Creating $(VENV); what goes into it follows, with its logs in build/setup."
	@$(PYTHON) -m venv --clear $(VENV)

# The stamps: written last, so that an interrupted installation goes on.
$(VENV)/.runtime: pyproject.toml constraints.txt scripts/setup/llama.cmake | $(BIN)/pip
	@$(BIN)/python -m scripts.setup run
	@touch $@

# Weights that this CPU computes faster, if there are any as good: never a reason to fail.
$(VENV)/.weights: $(VENV)/.runtime
	@[ -n "$$CI" ] || $(BIN)/python -m llm_api models optimize --auto || true
	@touch $@

$(VENV)/.embeddings: $(VENV)/.runtime
	@$(BIN)/python -m scripts.setup embeddings
	@touch $@

$(VENV)/.dev: $(VENV)/.embeddings
	@$(BIN)/python -m scripts.setup dev
	@touch $@
