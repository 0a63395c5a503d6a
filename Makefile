# The front door. `make` alone lists what there is; every target makes what it needs first.
# Needs python3 (3.11 or later), make and git; everything else is installed into .venv/.

SHELL := /bin/sh
.SHELLFLAGS := -eu -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
BIN := .venv/bin
STAMPS := .venv/stamps
CODE := src tests tools benchmarks

# What the user may say: make test T=tests/domain WORKERS=1; make demo KEEP=1; make bench B=expiry; make serve ARGS=...
T ?=
WORKERS ?= auto
KEEP ?=
B ?=
ARGS ?=

export UV_PYTHON_DOWNLOADS := never
export UV_PROJECT_ENVIRONMENT := .venv
export UV_NO_PROGRESS := 1
# lapse starts as a process of its own hundreds of times in a test run: with bytecode that takes a tenth.
export UV_COMPILE_BYTECODE := 1
unexport PYTHONDONTWRITEBYTECODE
# `uv run` elsewhere may have set it; this project's environment is always .venv/.
unexport VIRTUAL_ENV

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "  options: test T=PATH WORKERS=N ARGS='-k word'; demo KEEP=1; bench B=NAME; serve ARGS='...'"

.PHONY: venv
venv: $(STAMPS)/synced $(STAMPS)/pump ## the virtual environment with lapse and its tools in it

$(STAMPS)/uv: tools/bootstrap.sh
	@PYTHON='$(PYTHON)' sh tools/bootstrap.sh
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/synced: $(STAMPS)/uv pyproject.toml uv.lock src/lapse/__init__.py
	@echo "venv: installing what uv.lock names"
	@$(BIN)/uv sync --locked --all-extras --quiet
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/pump: $(STAMPS)/synced src/lapse/gateway/pump/pump.c tools/build_pump.py
	@$(BIN)/python tools/build_pump.py
	@touch $@

$(STAMPS)/bench: $(STAMPS)/synced
	@$(BIN)/uv sync --locked --all-extras --group bench --quiet
	@touch $@

$(STAMPS)/debian: tools/debian-packages.txt tools/debian_packages.sh | $(STAMPS)/uv
	@sh tools/debian_packages.sh && mkdir -p $(STAMPS) && touch $@ || test $$? -eq 3

.PHONY: demo
demo: $(STAMPS)/synced ## see it work, in about a minute (KEEP=1 leaves the server up)
	@$(BIN)/lapse demo $(if $(KEEP),--keep) $(ARGS)

.PHONY: test
test: $(STAMPS)/synced $(STAMPS)/pump $(STAMPS)/debian ## run the tests in parallel
	@echo "test: pytest, $(WORKERS) workers"
	@$(BIN)/pytest -q -n $(WORKERS) --dist worksteal $(T) $(ARGS)

.PHONY: check check-lint check-format check-types check-imports check-docs
check: check-lint check-format check-types check-imports check-docs ## style, types, import rules, docs

check-lint: $(STAMPS)/synced
	@echo "check: ruff, all rules"
	@$(BIN)/ruff check --quiet $(CODE)

check-format: $(STAMPS)/synced
	@echo "check: formatting"
	@$(BIN)/ruff format --check $(CODE)

check-types: $(STAMPS)/synced
	@echo "check: mypy, strict"
	@$(BIN)/mypy

check-imports: $(STAMPS)/synced
	@echo "check: imports only go down"
	@$(BIN)/lint-imports --no-logo

check-docs: $(STAMPS)/synced
	@echo "check: docs"
	@$(BIN)/python tools/check_docs.py

.PHONY: format
format: $(STAMPS)/synced ## format the code, mend what ruff can mend, redraw the diagrams
	@$(BIN)/ruff format $(CODE)
	@$(BIN)/ruff check --quiet --fix $(CODE)
	@$(BIN)/python tools/gen_diagrams.py

.PHONY: bench
bench: $(STAMPS)/bench $(STAMPS)/pump $(STAMPS)/debian ## measure, as ratios (B=NAME runs one or a group)
	@$(BIN)/python benchmarks/run.py $(B)

.PHONY: serve
serve: $(STAMPS)/synced $(STAMPS)/pump ## run lapse here, on 127.0.0.1
	@$(BIN)/lapse serve $(ARGS)

.PHONY: lock
lock: $(STAMPS)/uv ## write uv.lock anew from pyproject.toml
	@$(BIN)/uv lock

.PHONY: clean
clean: ## remove everything that make made
	@rm -rf .venv bench-out demo-out dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	@find src tests tools benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
