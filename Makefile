# Two commands do everything on a fresh machine with Python 3.11+ and make: `make demo` and `make test`.

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
TEST_EXTRAS := agents,llama-index,anthropic,notebook,redis,postgres,traffic,otel
ARGS ?=
JOBS ?= 2

.PHONY: help demo test check format bench wheel-test clean

help:
	@echo "make demo        run the main job offline and print what it cost"
	@echo "make test        run the tests                    (ARGS='-k pattern', JOBS=2)"
	@echo "make check       lint, types, architecture"
	@echo "make bench       run every benchmark"
	@echo "make wheel-test  build the wheel and run the tests on it"
	@echo "make clean       remove what these commands made"

demo: $(VENV)/.demo
	$(BIN)/python examples/stdlib_rag.py $(ARGS)

test: $(VENV)/.test
	$(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadfile $(ARGS)

check: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_architecture.py

format: $(VENV)/.test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.test
	@set -e; for script in benchmarks/*.py; do \
		echo "== $$script"; $(BIN)/python $$script $(ARGS); done

wheel-test:
	rm -rf build/wheel-test && mkdir -p build/wheel-test
	$(MAKE) --no-print-directory VENV=.venv-wheel .venv-wheel/.python
	.venv-wheel/bin/python -m pip wheel --quiet --no-deps --wheel-dir build/wheel-test .
	.venv-wheel/bin/python -m pip install --disable-pip-version-check --quiet --force-reinstall --no-deps \
		build/wheel-test/*.whl
	.venv-wheel/bin/python -m pip install --disable-pip-version-check --quiet \
		"$$(ls build/wheel-test/*.whl)[$(TEST_EXTRAS)]" --group test
	cp -r tests examples benchmarks docs pyproject.toml README.md CHANGELOG.md build/wheel-test/
	cd build/wheel-test && ../../.venv-wheel/bin/python -m pytest $(ARGS)

clean:
	rm -rf .venv .venv-wheel build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

# Each stamp is made anew when the dependencies change.
$(VENV)/.python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed; none was found on the PATH" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --upgrade pip
	@touch $@

$(VENV)/.demo: $(VENV)/.python pyproject.toml
	$(PIP) install --editable ".[langchain,llama-index]"
	@touch $@

$(VENV)/.test: $(VENV)/.python pyproject.toml
	$(PIP) install --editable ".[$(TEST_EXTRAS)]" --group test --group check
	@touch $@
