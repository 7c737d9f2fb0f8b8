# What a person or a CI job runs in a checkout of Mooring; `make` alone lists it.
# Needs Python 3.11 or newer with its venv module, git and make.

SHELL := bash
PYTHON ?= python3
CLAUDE_VERSION := 2.1.329
CLAUDE_OLDEST := 2.1.197
DEVCONTAINER_VERSION := 0.89.0

# Taken as plain text (make would run a `$(shell …)` in them), and read by recipes as "$$TOPIC".
override TOPIC := $(value TOPIC)
override BASE := $(value BASE)
override REPO := $(if $(value REPO),$(value REPO),$(CURDIR))
export TOPIC BASE REPO

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help workspace topic venv test check bench wheel ci-setup clean FORCE

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' Makefile

workspace: topic .venv/.installed ## Make a workspace of this repo: TOPIC=hello [REPO=path-or-url] [BASE=ref]
	@set -- --repo "$$REPO" --launch none $${BASE:+"--base=$$BASE"} && \
	where=$$(.venv/bin/mooring new "$$TOPIC" "$$@") && \
	printf 'Workspace %s is at %s\n' "$$TOPIC" "$$where" && \
	printf 'To enter it:      cd %q\n' "$$where" && \
	printf 'To start Claude:  %q new %s --repo %q\n' "$$PWD/.venv/bin/mooring" "$$TOPIC" "$$REPO"

topic:
	@$(if $(TOPIC),:,$(error Cannot make a workspace: TOPIC is missing, as in "make workspace TOPIC=hello"))

venv: .venv/.installed .venv/.installed-test .venv/.installed-check ## Set up .venv with all that the other targets need

test: .venv/.installed-test ## Run the tests: [ARGS="tests/unit -k name"]
	.venv/bin/python -m pytest -n auto $(ARGS)

check: .venv/.installed-check ## Check style, formatting, types and the direction of imports
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports

bench: .venv/.installed-test ## Measure what the commands cost: [ARGS=…]
	.venv/bin/python -m tests.bench $(ARGS)

wheel: .venv/.installed-check ## Build the wheel into dist/
	rm -f dist/*.whl
	.venv/bin/python -m build --wheel

ci-setup: ## Install what the tests run: system packages (as root or with sudo), the Claude Code CLI, gits
	@.ci/setup $(CLAUDE_VERSION) $(CLAUDE_OLDEST) $(DEVCONTAINER_VERSION)

clean: ## Remove what the other targets made in this checkout
	rm -rf .venv dist build node_modules
	rm -rf .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find deploy inventories tests -name __pycache__ -prune -exec rm -rf {} +

# A .venv that was never finished, or whose Python is gone, is made again.
UNUSABLE := $(shell test -x .venv/bin/python || echo FORCE)

.venv/.installed: pyproject.toml $(UNUSABLE)
	@.ci/venv "$(PYTHON)" . && touch $@

.venv/.installed-%: pyproject.toml $(UNUSABLE)
	@.ci/venv "$(PYTHON)" '.[$*]' && touch $@
