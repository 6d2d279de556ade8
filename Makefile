# make run: the app. make test: every check and test. Both set up .venv from the pinned files first.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
ADDRESS ?= 127.0.0.1
PORT ?= 8501

.DEFAULT_GOAL := help
.PHONY: help run test check browser clean

help:
	@echo "make run    start the app on http://$(ADDRESS):$(PORT)"
	@echo "make test   lint, types, layers and the whole test suite"
	@echo "make check  lint, types and layers alone"

run: $(VENV)/app.stamp
	@echo "The app will be on http://$(ADDRESS):$(PORT). End it with Ctrl-C; nothing is lost."
	$(BIN)/streamlit run app.py --server.address $(ADDRESS) --server.port $(PORT)

test: check browser
	$(BIN)/python -m autosynth_core models pull
	$(BIN)/pytest

check: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Finds Chrome or Chromium for the tests, or fetches one.
browser: $(VENV)/dev.stamp
	$(BIN)/python tests/support/browser.py

$(VENV)/app.stamp: requirements.txt constraints.txt | $(VENV)/bin/python
	@echo "Setting up $(VENV): fetching the packages, 1 to 4 minutes, this once."
	@$(BIN)/python -m pip install --quiet -r requirements.txt
	@touch $@

$(VENV)/dev.stamp: requirements.txt requirements-dev.txt constraints.txt | $(VENV)/bin/python
	@echo "Setting up $(VENV) for the tests: fetching the packages, 1 to 4 minutes, this once."
	@$(BIN)/python -m pip install --quiet -r requirements-dev.txt
	@touch $@ $(VENV)/app.stamp

$(VENV)/bin/python:
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 is needed: install it, or name it with make PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
