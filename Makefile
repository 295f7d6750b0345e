# Two commands: `make run` opens the studio, `make test` proves it works. `make help` lists the rest.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
FRONTEND := ui/editor/canvas/frontend
BUNDLE := ui/editor/canvas/dist/.fingerprint

# Everyone gets the versions in constraints.txt, also inside pip's isolated build environment (the second name is for pip >= 25.3).
export PIP_CONSTRAINT := $(CURDIR)/constraints.txt
export PIP_BUILD_CONSTRAINT := $(CURDIR)/constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_INPUT := 1

# What the installation was made from; the stamps lie in the environment, so that removing it removes them.
SOURCES := pyproject.toml constraints.txt packaging/hatch_build.py $(wildcard $(FRONTEND)/*.js $(FRONTEND)/*.json $(FRONTEND)/src/*)
RUN_STAMP := $(VENV)/.installed-run
TEST_STAMP := $(VENV)/.installed-test

.DEFAULT_GOAL := help
.PHONY: run test lint types bench soak canvas chromium clean help FORCE

run: $(RUN_STAMP) ## Install what is needed and open the studio (ARGS="--port 8080" is passed on)
	@$(BIN)/treadle $(ARGS)

test: $(TEST_STAMP) chromium lint ## Install what the tests need and run all of them
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m pytest tests -m "not alone" -n logical --dist loadfile
	@$(BIN)/pytest tests -m alone
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report

lint: $(TEST_STAMP) ## Style, types and the import rules
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet . || { echo "Some files are not formatted: run $(BIN)/ruff format ."; exit 1; }
	@$(BIN)/mypy
	@$(BIN)/pytest tests/test_architecture.py

bench: $(TEST_STAMP) ## Measure speed and memory on this machine
	@$(BIN)/python -m tests.benchmarks $(ARGS)

soak: $(TEST_STAMP) ## Live through 100,000 made-up histories of crashes, bad disks and wrong clocks
	@$(BIN)/python -m tests.simulation $(ARGS)

canvas: ## Build the canvas again after a change in its sources (needs Node)
	@cd $(FRONTEND) && npm ci --no-audit --no-fund && npm run build

chromium:
	@sh packaging/need_chromium.sh

clean: ## Remove everything that was installed or built
	rm -rf $(VENV) ui/editor/canvas/dist $(FRONTEND)/node_modules .coverage .coverage.* .mypy_cache .ruff_cache

help: ## This list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# Without the bundle an installation is not complete, whatever the stamp says.
ifeq ($(wildcard $(BUNDLE)),)
$(RUN_STAMP): FORCE
endif

$(RUN_STAMP): $(SOURCES) | $(BIN)/python
	@echo "Installing Treadle (the first time takes about a minute) ..."
	@$(BIN)/python -m pip install --quiet -e .
	@touch $@

$(TEST_STAMP): $(RUN_STAMP)
	@echo "Installing what the tests need ..."
	@$(BIN)/python -m pip install --quiet -e '.[test]'
	@touch $@

$(BIN)/python:
	@sh packaging/need_python.sh "$(PYTHON)"
	@$(PYTHON) -m venv $(VENV)
