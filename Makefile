# The two commands a user needs: `make compare` and `make test`. Both make .venv themselves.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
CONSTRAINTS := -c constraints.txt

.PHONY: compare benchmark reproduce test test-fast lint bench docs install clean help

help:            ## what can be made
	@grep -hE '^[a-z-]+:.*##' Makefile | sed 's/:.*##/:/'

compare: $(VENV)/.installed        ## train APG and PPO and compare them with the tuned rules; results in results/latest
	$(BIN)/chengfang compare $(ARGS)

benchmark: $(VENV)/.installed      ## tasks x agents x seeds: the numbers of results/benchmark
	$(BIN)/chengfang benchmark $(ARGS)

reproduce: $(VENV)/.installed      ## make rows of the benchmark again: TASK=Bidding [AGENT=PID] [RETRAIN=1]
	$(BIN)/chengfang benchmark --check $(if $(TASK),--task $(TASK)) $(if $(AGENT),--agent $(AGENT)) $(if $(RETRAIN),--retrain) $(ARGS)

test: $(VENV)/.installed-test      ## everything the package promises, tested
	$(BIN)/python -m pytest $(ARGS)

test-fast: $(VENV)/.installed-test  ## all tests but those marked slow: about two minutes
	$(BIN)/python -m pytest -m "not slow" -n 2 --dist loadfile $(ARGS)

# pyright does not follow the editable install: a link lets the tests' `import chengfang` resolve
lint: $(VENV)/.installed-dev       ## ruff and pyright
	mkdir -p $(VENV)/typing
	ln -sfn "$(CURDIR)" $(VENV)/typing/chengfang
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python

docs: $(VENV)/.installed-docs      ## the site, built offline into docs/_build/html
	$(BIN)/python -m sphinx --fail-on-warning --keep-going -n -q docs docs/_build/html
	@echo "open docs/_build/html/index.html"

bench: $(VENV)/.installed          ## speed and memory on this machine
	$(BIN)/chengfang bench $(ARGS)

install: $(VENV)/.installed        ## only the virtual environment

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(VENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e . $(CONSTRAINTS)
	touch $@

$(VENV)/.installed-test: $(VENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test]' $(CONSTRAINTS)
	touch $@ $(VENV)/.installed

$(VENV)/.installed-docs: $(VENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[docs]' $(CONSTRAINTS)
	touch $@ $(VENV)/.installed

$(VENV)/.installed-dev: $(VENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]' $(CONSTRAINTS)
	touch $@ $(VENV)/.installed $(VENV)/.installed-test

clean:           ## remove the virtual environment and caches, keep results
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis build docs/_build *.egg-info
	find . -name __pycache__ -prune -exec rm -rf {} +
