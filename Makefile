# make test    formatting, lint, strict types, import contracts, tests
# make demo    a real model over a real broker; FRAMES=200 ends by itself, BROKER=mqtt://host:port uses yours
# make bench   the measured tables of the README
# make model   builds models/efficientnet_lite0 again from its published weights

PYTHON ?= python3
VENV ?= .venv
FRAMES ?=
BROKER ?=
bin := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help test demo bench check lint types contracts pytest clean

help:
	@sed -n 's/^# //p' $(firstword $(MAKEFILE_LIST))

$(VENV)/.demo: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Shoal needs Python 3.11 or newer: make PYTHON=python3.11 ..." >&2; exit 1; }
	@test -x $(bin)/python || $(PYTHON) -m venv $(VENV) || { echo "python3 -m venv failed: on Debian, apt install python3-venv" >&2; exit 1; }
	$(bin)/python -m pip install --quiet --disable-pip-version-check -e '.[demo]'
	@touch $@

$(VENV)/.dev: pyproject.toml $(VENV)/.demo
	$(bin)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

demo: $(VENV)/.demo
	@$(bin)/python -P -m deploy demo $(if $(FRAMES),--frames $(FRAMES)) $(if $(BROKER),--broker $(BROKER))

test: lint types contracts pytest

lint: $(VENV)/.dev
	$(bin)/ruff format --check .
	$(bin)/ruff check .

types: $(VENV)/.dev
	$(bin)/mypy

contracts: $(VENV)/.dev
	$(bin)/lint-imports --no-cache

pytest: $(VENV)/.dev
	$(bin)/python -m pytest

bench: $(VENV)/.dev
	$(bin)/python bench/frame_loop.py

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build *.egg-info
