# Everything runs in .venv, which `make setup` (or any other target) creates and brings up to date.
#
# PYTHON       the Python that .venv is made of
# TORCH_INDEX  an index of PyTorch wheels to prefer, such as the one for CPUs; empty: the index pip knows
# NPM          what installs onnxruntime-web for the browser target; where it is missing, so is the target
# WORKERS      processes that run the tests; each computes with one thread

PYTHON ?= python3
TORCH_INDEX ?=
NPM ?= npm
WORKERS ?= 2

BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
PYTEST := $(BIN)/python -m pytest $(if $(CI),-p tests.ci_skips)
export TORCH_INDEX

.PHONY: setup demo test slow constraints clean

setup: .venv/.ready

.venv/.ready: pyproject.toml constraints.txt devices/browser/package-lock.json
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(PIP) install --quiet --constraint constraints.txt --upgrade pip
	$(PIP) install --quiet --constraint constraints.txt $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) torch
	$(PIP) install --quiet --constraint constraints.txt --editable '.[all,dev]'
	if command -v $(NPM) >/dev/null; then $(NPM) ci --prefix devices/browser --no-audit --no-fund --loglevel=error; \
	else echo "$(NPM) is not installed: the browser target is left out"; fi
	touch $@

demo: setup
	$(BIN)/moceir-edge demo --out run/demo

test: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	OMP_NUM_THREADS=1 $(PYTEST) -m "not slow" -n $(WORKERS) --dist loadfile

slow: setup
	OMP_NUM_THREADS=2 $(PYTEST) -m slow

# Pin what is installed now; raise versions with pip first, run the tests, then this.
constraints:
	@{ sed -n '/^#/p' constraints.txt; \
	   $(PIP) freeze --all --exclude-editable | sed -e '/ @ /d' -e 's/+[a-z0-9.]*$$//'; } > constraints.new
	mv constraints.new constraints.txt

clean:
	rm -rf run/demo dist build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find moceir_edge tests -name __pycache__ -type d -prune -exec rm -rf {} +
