# One word for each job. `make` alone lists them.

# The first Python that is new enough, and of several one that was built with optimisations, as those of distributions
# are: calls cost it a fifth less. `make run PYTHON=/path/to/python3.12` chooses another.
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
OPTIMISED := import sys, sysconfig, ensurepip, venv; \
	built = "--enable-optimizations" in (sysconfig.get_config_var("CONFIG_ARGS") or "") or sys.base_prefix == "/usr"; \
	sys.exit(sys.version_info < (3, 11) or not built)
PYTHON ?= $(shell names="python3 python3.11 python3.12 python3.13 python3.14"; \
	for each in $$names /usr/bin/python3; do $$each -c '$(OPTIMISED)' 2>/dev/null && echo $$each && exit; done; \
	for each in $$names; do $$each -c '$(NEW_ENOUGH)' 2>/dev/null && echo $$each && exit; done)

CONFIG ?= config/sipflow.yaml
ARGS ?=
SECONDS ?=
# Most tests wait for something: more of them at a time than there are cores.
JOBS ?= 4
VENV := .venv
BIN := $(VENV)/bin
# -qq leaves errors only: on some machines pip warns at length about things nobody here can change.
PIPECAT := $(VENV)/pipecat
PIPECAT_PIP := $(PIPECAT)/bin/python -m pip install -qq --disable-pip-version-check --no-input
LIVEKIT := $(VENV)/livekit
TRY := $(BIN)/python -m pytest
FAILED := build/tests/v/cache/lastfailed
FAST_VENV := $(VENV)/fast
FAST_PIP := $(FAST_VENV)/bin/python -m pip install -qq --disable-pip-version-check --no-input
# Where nothing plain is in the way of what is compiled: tests and configuration, without sipflow's sources.
FAST_TREE := build/fast
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check --no-input
# Where pip fails, it says at length which package; it does not say what to do.
OR_ELSE := || { echo "Not everything could be installed; pip says above what. If it could not build a package, there is none ready-made for $$($(BIN)/python -V) yet: install a C compiler (on Debian and Ubuntu: sudo apt-get install gcc python3-dev), or take an older Python (make clean, then make run PYTHON=python3.13)"; exit 1; }

# $(call checked,what it is,command): one line when it is well, the command's own output when it is not.
checked = if out=$$($(2) 2>&1); then echo "ok: $(1)"; else echo "not ok: $(1)"; echo "$$out"; failed=1; fi

# What Python has compiled is kept: tests start hundreds of processes, and each would compile all of it again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help run setup test-tools pipecat livekit compiled test check scenarios bench load soak fuzz docs clean fast fast-test
.DEFAULT_GOAL := help

help:
	@echo "make run         set everything up and start sipflow on $(CONFIG)"
	@echo "make test        set up what the tests need and run them all (ARGS=... for pytest)"
	@echo "make check       lint, format, types, imports between rooms, house rules"
	@echo "make scenarios   the SIPp scenarios alone"
	@echo "make bench       print the figures: calls, audio, registrations, memory"
	@echo "make load        five minutes of calls, transferred, held and cancelled: what is left afterwards?"
	@echo "make soak        twenty minutes of everything at 30 % of a core: does anything grow? (SECONDS=... for less)"
	@echo "make fast        compile what every message and packet goes through; then: make run FAST=1, make bench FAST=1"
	@echo "make fast-test   the tests of those rooms with what was compiled"
	@echo "make fuzz        ten minutes of inputs that nobody thought of, to every parser (ARGS=... SECONDS=...)"
	@echo "make docs        build the documentation as a site into build/site"
	@echo "make setup       only set up the virtual environment with what developers need"
	@echo "make test-tools  only set up the programs that the tests call (Debian packages)"
	@echo "make pipecat     only set up the environment of the Pipecat bot that the tests call"
	@echo "make livekit     only set up the LiveKit Agents that the tests call"
	@echo "make clean       remove the virtual environment and caches"

ifdef FAST
run: $(FAST_VENV)/.compiled
	@exec $(FAST_VENV)/bin/sipflow run $(CONFIG)
else
run: $(VENV)/.installed
	@exec $(BIN)/sipflow run $(CONFIG)
endif

setup: $(VENV)/.developed

$(VENV)/pyvenv.cfg:
	@test -n "$(PYTHON)" || { echo "sipflow needs Python 3.11 or later, and there is none. Install it, or name it: make run PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -c '$(NEW_ENOUGH)' || { echo "sipflow needs Python 3.11 or later; $(PYTHON) is not. Name another: make run PYTHON=/path/to/python3"; exit 1; }
	@echo "Making a virtual environment in $(VENV) with $(PYTHON)"
	@$(PYTHON) -m venv $(VENV) >/dev/null 2>&1 || { rm -rf $(VENV); echo "$(PYTHON) cannot make a virtual environment. On Debian and Ubuntu: sudo apt-get install python3-venv"; exit 1; }

$(VENV)/.installed: $(VENV)/pyvenv.cfg pyproject.toml
	@echo "Installing sipflow and what it needs (once)"
	@$(PIP) -e . $(OR_ELSE)
	@touch $@

$(VENV)/.developed: $(VENV)/pyvenv.cfg pyproject.toml
	@echo "Installing what developers need (once)"
	@$(PIP) -e '.[dev]' $(OR_ELSE)
	@touch $@ $(VENV)/.installed

# The figures stand beside Sippy's; without it the rest is printed all the same.
$(VENV)/.benched: $(VENV)/.developed
	@echo "Installing what the figures are compared with (once)"
	@$(PIP) -e '.[dev,bench]' || echo "Sippy cannot be installed here: its figures will be missing"
	@touch $@

test-tools:
	@.ci/test-tools

pipecat: $(PIPECAT)/.installed

# Beside what is tested, not in it: a bot has an environment of its own. PyPI out of reach is a failure with CI=true.
$(PIPECAT)/.installed: tests/interop/pipecat.txt | $(VENV)/pyvenv.cfg
	@echo "Installing Pipecat for the tests (once)"
	@if $(BIN)/python -m venv $(PIPECAT) && $(PIPECAT_PIP) -r tests/interop/pipecat.txt \
		&& $(PIPECAT_PIP) --no-deps 'pipecat-ai>=1.14,<2'; then touch $@; \
	else echo "Pipecat cannot be installed here: the tests that need it are skipped"; [ "$${CI:-}" != true ]; fi

livekit: $(LIVEKIT)/.installed

# A folder beside sipflow's own packages, for what it lacks; CI=true as above.
$(LIVEKIT)/.installed: tests/interop/livekit.txt | $(VENV)/.developed
	@echo "Installing LiveKit Agents for the tests (once)"
	@rm -rf $(LIVEKIT)
	@if $(PIP) --no-deps --target $(LIVEKIT) -r tests/interop/livekit.txt; then touch $@; \
	else echo "LiveKit Agents cannot be installed here: the tests that need it are skipped"; [ "$${CI:-}" != true ]; fi

# While programs are fetched, the tests are compiled once; otherwise each of the jobs would do it.
compiled: $(VENV)/.developed
	@[ -n '$(ARGS)' ] || { $(BIN)/python -m pytest --collect-only -qq >$(VENV)/.collected 2>&1 & }

# Calls are made in real time while the other tests keep every core busy. So the few that fail are run once more, with the
# machine to themselves: what fails then, too, is a fault. What failed at first stays in sight above.
test: $(VENV)/.developed compiled test-tools pipecat livekit
	@rm -f $(FAILED); $(TRY) -n $(JOBS) --dist loadfile --no-loadscope-reorder $(ARGS) || { \
		failed=$$(grep -c :: $(FAILED)); [ "$$failed" -gt 0 ] && [ "$$failed" -le 10 ] || exit 1; \
		echo "These failed beside all others ($$failed); now by themselves:"; grep :: $(FAILED); \
		$(TRY) --last-failed; }

scenarios: $(VENV)/.developed test-tools
	@$(BIN)/python -m pytest tests/scenario $(ARGS)

check: $(VENV)/.developed
	@failed=0; \
	$(call checked,ruff check,$(BIN)/ruff check); \
	$(call checked,ruff format,$(BIN)/ruff format --check); \
	$(call checked,mypy --strict,$(BIN)/mypy); \
	$(call checked,imports between rooms,$(BIN)/lint-imports); \
	$(call checked,house rules,$(BIN)/python -m pytest tests/house); \
	exit $$failed

ifdef FAST
bench: $(FAST_TREE)/.copied test-tools
	@cd $(FAST_TREE) && ../../$(FAST_VENV)/bin/python -m tests.bench $(ARGS)
else
bench: $(VENV)/.benched test-tools
	@$(BIN)/python -m tests.bench $(ARGS)
endif

# The checkout stays plain Python: what is compiled is a wheel in an environment of its own.
fast: $(FAST_VENV)/.compiled
	@$(FAST_VENV)/bin/sipflow --version

$(FAST_VENV)/.compiled: pyproject.toml .ci/compiled.py $(shell find sipflow -name '*.py') | $(VENV)/pyvenv.cfg
	@command -v cc >/dev/null || command -v gcc >/dev/null || command -v clang >/dev/null || { \
		echo "make fast needs a C compiler, and there is none. On Debian and Ubuntu: sudo apt-get install gcc python3-dev"; exit 1; }
	@$(BIN)/python -c 'import os, sys, sysconfig; sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))' || { \
		echo "make fast needs the C headers of Python, and they are not there. On Debian and Ubuntu: sudo apt-get install python3-dev"; exit 1; }
	@echo "Compiling sipflow into $(FAST_VENV): some minutes"
	@$(BIN)/python -m venv $(FAST_VENV)
	@$(FAST_PIP) -e '.[compiled]'
	@rm -rf build/compiled build/wheel && mkdir -p build/compiled
	@cp -r sipflow pyproject.toml README.md LICENSE build/compiled && cp .ci/compiled.py build/compiled/setup.py
	@$(FAST_VENV)/bin/python -m pip wheel -qq --disable-pip-version-check --no-deps --no-build-isolation -w build/wheel build/compiled
	@$(FAST_PIP) --no-deps --force-reinstall build/wheel/*.whl
	@touch $@

$(FAST_TREE)/.copied: $(FAST_VENV)/.compiled $(shell find tests config -type f -not -name '*.pyc')
	@$(FAST_PIP) pytest pytest-asyncio pytest-timeout hypothesis
	@rm -rf $(FAST_TREE) && mkdir -p $(FAST_TREE)
	@cp -r tests config pyproject.toml $(FAST_TREE)
	@touch $@

fast-test: $(FAST_TREE)/.copied
	@cd $(FAST_TREE) && ../../$(FAST_VENV)/bin/python -m pytest -m 'not plain' tests/sip tests/sdp tests/rtp tests/audio/codecs tests/media tests/net tests/agents/stream $(ARGS)

load: $(VENV)/.developed test-tools
	@$(BIN)/python -m tests.bench storm

soak: $(VENV)/.developed test-tools
	@$(BIN)/python -m tests.bench.soak $(SECONDS)

fuzz: $(VENV)/.fuzzed
	@$(BIN)/python -m tests.fuzz $(ARGS) $(if $(SECONDS),--seconds $(SECONDS))

# Coverage-guided fuzzing is for Linux and macOS; nothing else needs what it needs.
$(VENV)/.fuzzed: $(VENV)/.developed
	@echo "Installing what the fuzzer needs (once)"
	@$(PIP) -e '.[dev,fuzz]'
	@touch $@

# The variable silences a notice about the future of MkDocs. No --quiet: with it, --strict overlooks what it would have said.
docs: $(VENV)/.developed
	@failed=0; \
	export NO_MKDOCS_2_WARNING=1; \
	$(call checked,build/site/index.html,$(BIN)/python -m mkdocs build --strict -f docs/site/mkdocs.yml); \
	exit $$failed

clean:
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build dist *.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
