# Every target does its own set-up: python3 and make are all a fresh machine needs.
VENV  := .venv
BIN   := $(VENV)/bin
STAMP := $(VENV)/.installed
SEEDS ?= 5000

.PHONY: help setup demo test lint format sim torture bench bench-quick docs clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile

setup: $(STAMP) ## create .venv and install batchgen with its development extras

$(STAMP): pyproject.toml scripts/setup.sh
	@sh scripts/setup.sh $(VENV)
	@touch $@

demo: $(STAMP) ## run jobs/demo.yaml against the simulator: free, offline, about half a minute
	@rm -rf runs/demo
	$(BIN)/batchgen run jobs/demo.yaml --simulate
	@$(BIN)/batchgen status runs/demo
	@echo "pictures: runs/demo/outputs"

lint: $(STAMP) ## formatting, lint rules, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP) ## apply the formatter and the safe fixes
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

test: lint ## lint, every test, and the branch coverage of the core
	@sh scripts/browser.sh
	$(BIN)/python -m pytest -q -n auto --dist worksteal -m "not hunt" --cov=batchgen.core --cov-report=
	$(BIN)/coverage report --include='batchgen/core/*' --fail-under=95

sim: $(STAMP) ## rehearse SEEDS=5000 nights with faults and deaths; SEED=42 replays one
	$(BIN)/python -m tests.simulation.hunt $(if $(SEED),--seed $(SEED),--seeds $(SEEDS))
	$(if $(SEED),,$(BIN)/python -m pytest -q -m hunt)

docs: $(STAMP) ## bring the generated parts of the documents up to date
	$(BIN)/python -m scripts.docs

bench: $(STAMP) ## measure everything against its bounds: some 20 minutes on a quiet machine
	$(BIN)/python -m bench

bench-quick: $(STAMP) ## a smoke test of that within 2 minutes; only counts are judged
	$(BIN)/python -m bench --quick

torture: $(STAMP) ## real processes, disks and signals, some minutes; QUICK=1 for one
	$(BIN)/python -m tests.torture
