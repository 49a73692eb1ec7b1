# Every target does its own set-up: python3 and make are all a fresh machine needs.
VENV  := .venv
BIN   := $(VENV)/bin
# What is installed, in two stages of one environment: what a run needs, and what developers need.
RUN   := $(VENV)/.run
DEV   := $(VENV)/.dev
SEEDS ?= 5000
# Of the tests those that finish soon: what `make test-lowest` runs.
SOON  := -m "not hunt and not long and not processes" tests/core tests/store tests/outputs \
	tests/sources tests/observe tests/system tests/providers tests/app \
	tests/runner tests/simulator tests/api tests/cli/test_commands.py tests/cli/test_rows.py

# What is imported is compiled once, and not anew by each of the hundreds of processes of the tests.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup upgrade demo test test-lowest test-latest lint format sim torture bench \
	bench-quick coverage docs clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile

setup: $(DEV) ## create .venv with batchgen and what developers need, in pinned versions

$(RUN): pyproject.toml scripts/setup.sh requirements/run.txt
	@sh scripts/setup.sh $(VENV) run
	@touch $@

$(DEV): $(RUN) requirements/dev.txt
	@sh scripts/setup.sh $(VENV) dev
	@touch $@

upgrade: $(RUN) ## renew the pinned versions in requirements/, and say what changed
	@command -v uv >/dev/null || $(BIN)/python -m pip install --quiet uv
	@$(BIN)/python scripts/upgrade.py

demo: $(RUN) ## run jobs/demo.yaml against the simulator: free, offline, about half a minute
	@rm -rf runs/demo
	$(BIN)/batchgen run jobs/demo.yaml --simulate
	@$(BIN)/batchgen status runs/demo
	@echo "pictures: runs/demo/outputs"

lint: $(DEV) ## formatting, lint rules, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(DEV) ## apply the formatter and the safe fixes
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

test: lint ## lint and every test, in about three minutes
	@sh scripts/browser.sh
	$(BIN)/python -m pytest -q -n auto --dist worksteal -m "not hunt"

coverage: $(DEV) ## the branch coverage of the core by the tests without processes: at least 95 %
	$(BIN)/python -m pytest -q -n auto --dist worksteal -m "not hunt and not long" --cov=batchgen.core \
		--cov-report= tests/core tests/providers tests/runner tests/app tests/store tests/sources
	$(BIN)/coverage report --include='batchgen/core/*' --fail-under=95

test-lowest: ## a quick part of the tests on the lowest versions that pyproject.toml names
	@sh scripts/setup.sh .venv-lowest lowest
	.venv-lowest/bin/python -m pytest -q -n auto --dist worksteal $(SOON)

test-latest: ## every test on the newest versions there are today, whatever is pinned
	@sh scripts/setup.sh .venv-latest latest
	@sh scripts/browser.sh
	.venv-latest/bin/python -m pytest -q -n auto --dist worksteal -m "not hunt"

sim: $(DEV) ## rehearse SEEDS=5000 nights with faults and deaths; SEED=42 replays one
	$(BIN)/python -m tests.simulation.hunt $(if $(SEED),--seed $(SEED),--seeds $(SEEDS))
	$(if $(SEED),,$(BIN)/python -m pytest -q -m hunt)

docs: $(DEV) ## bring the generated parts of the documents up to date
	$(BIN)/python -m scripts.docs

bench: $(DEV) ## measure everything against its bounds: some 20 minutes on a quiet machine
	$(BIN)/python -m bench

bench-quick: $(DEV) ## a smoke test of that within 2 minutes; only counts are judged
	$(BIN)/python -m bench --quick

torture: $(DEV) ## real processes, disks and signals, some minutes; QUICK=1 for one
	$(BIN)/python -m tests.torture

clean: ## remove the environments and what tools left behind
	rm -rf .venv .venv-lowest .venv-latest .*_cache .coverage dist build
