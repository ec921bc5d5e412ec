# Four commands do everything on a fresh machine: `make quickstart`, `make quickstart-generate`,
# `make quickstart-forecast` and `make test`.
#
# Each sets up .venv by itself, with the versions in constraints.txt. A torch that PYTHON can already
# import is used as it is; otherwise pip installs one, and pip's own variables (PIP_INDEX_URL,
# PIP_EXTRA_INDEX_URL, PIP_FIND_LINKS, ...) choose which, a CPU-only build among them.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
LIBRARY = $$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')

.PHONY: quickstart quickstart-generate quickstart-forecast test lint bench drill clean

quickstart: $(VENV)/.use
	$(BIN)/seq2seq train recipes/quickstart/config.yaml
	$(BIN)/python -m recipes.quickstart.report runs/quickstart

quickstart-generate: $(VENV)/.use
	$(BIN)/seq2seq train recipes/python-source/config.yaml --data.folder "$(LIBRARY)"
	$(BIN)/python recipes/python-source/report.py runs/python-source

quickstart-forecast: $(VENV)/.use
	$(BIN)/seq2seq train recipes/air-passengers/config.yaml
	$(BIN)/seq2seq forecast runs/air-passengers --plot runs/air-passengers/plots/forecast.png
	$(BIN)/seq2seq evaluate runs/air-passengers --plot runs/air-passengers/plots/errors.png

# Several processes of one thread each: small tensors gain nothing from more threads.
test: $(VENV)/.dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n auto --maxprocesses 4

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Options: `make bench BENCH='--run runs/multi30k-de-en --json bench.json'`.
bench: $(VENV)/.dev
	$(BIN)/python -m tests.benchmarks.bench $(BENCH)

# Runs are killed, damaged and stopped, thousands of times: a quarter of an hour on two cores.
# Options: `make drill DRILL='kills --tries 300 --seed 2 --json drill.json'`.
drill: $(VENV)/.dev
	$(BIN)/python -m tests.drill $(DRILL)
	$(BIN)/python -m tests.gpu --cpu

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(BIN)/python:
	@if $(PYTHON) -c 'import torch' 2>/dev/null; \
	then echo 'using the torch that $(PYTHON) has'; $(PYTHON) -m venv --system-site-packages $(VENV); \
	else $(PYTHON) -m venv $(VENV); fi

$(VENV)/constraints.txt: constraints.txt | $(BIN)/python
	@if $(BIN)/python -c 'import torch' 2>/dev/null; \
	then grep -v '^torch==' constraints.txt > $@; else cp constraints.txt $@; fi

$(VENV)/.use: pyproject.toml $(VENV)/constraints.txt
	$(PIP) -c $(VENV)/constraints.txt -e '.[plot]'
	@touch $@

$(VENV)/.dev: pyproject.toml $(VENV)/constraints.txt
	$(PIP) -c $(VENV)/constraints.txt -e '.[dev]'
	@touch $@ $(VENV)/.use
