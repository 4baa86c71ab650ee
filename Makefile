# Each target makes its own .venv: nothing to set up first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip --disable-pip-version-check -q
ARGS ?=

.PHONY: demo serve bench gpu-check gpu-wheels test test-long check format clean

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) install -c constraints.txt torch==2.13.0
	$(PIP) install -c constraints.txt -e '.[demo]'
	touch $@

$(VENV)/.test: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) install -c constraints.txt torch==2.13.0
	$(PIP) install -c constraints.txt -e '.[test]'
	touch $@

$(VENV)/.bench: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) install -c constraints.txt torch==2.13.0
	$(PIP) install -c constraints.txt -e '.[bench]'
	touch $@

demo: $(VENV)/.demo ## the whole loop on real pictures; make demo ARGS="--json out.json --sheet out.png"
	$(BIN)/mekiki demo $(ARGS)

serve: $(VENV)/.demo ## broker, index, workers and search API on this machine
	$(BIN)/mekiki up $(ARGS)

bench: $(VENV)/.bench ## measure this machine, peers too; make bench ARGS="tagger --only speed"
	$(BIN)/mekiki bench $(ARGS)

# With wheels it needs nothing but a Python that has torch; without, what is in .venv.
GPU_PYTHON = $(if $(findstring --wheels,$(ARGS)),$(PYTHON),$(or $(wildcard $(BIN)/python),$(PYTHON)))

gpu-check: ## tests and speed on this machine's GPU in six minutes; make gpu-check ARGS="--wheels FOLDER --json FILE"
	$(GPU_PYTHON) -m benchmarks.gpu $(ARGS)

gpu-wheels: $(BIN)/python ## what gpu-check needs on a machine that has torch alone, into build/gpu-wheels
	$(BIN)/python -m benchmarks.gpu.wheels build/gpu-wheels $(ARGS)

test: $(VENV)/.test ## all tests but the long ones, two files at a time
	$(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

test-long: $(VENV)/.test ## the long tests alone
	$(BIN)/python -m pytest -m long $(ARGS)

check: $(VENV)/.test ## format, lint, types, unit tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q -n 2 --dist loadfile tests/unit tests/property tests/test_layers.py

format: $(VENV)/.test
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) build *.egg-info
