# make demo   the whole path on synthetic data, in a virtual environment of its own
# make test   all tests            make check   lint, format, types, import contracts
# TORCH_INDEX: an extra package index with CPU builds of torch (see https://pytorch.org/get-started/locally/)
PYTHON ?= python3
TORCH_INDEX ?=
BIN := .venv/bin
DEMO_OUT ?= demo-output

.PHONY: install demo test check clean
install: .venv/installed

# torch first and pinned, so that TORCH_INDEX can give its CPU build: on Linux PyPI's brings gigabytes of CUDA.
.venv/installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	{ echo "facepad needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1). Name another: make PYTHON=python3.12" >&2; exit 1; }
	@start=$$(date +%s); \
	$(PYTHON) -m venv .venv && \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) torch==2.13.0 && \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]' && \
	touch $@ && echo "installed in $$(( $$(date +%s) - start )) s"

demo: install
	@if [ -e '$(DEMO_OUT)' ] && [ ! -e '$(DEMO_OUT)/data/manifest.csv' ]; then echo '$(DEMO_OUT) is no demo output: remove it, or choose another DEMO_OUT' >&2; exit 1; fi
	@rm -rf '$(DEMO_OUT)'
	$(BIN)/facepad demo '$(DEMO_OUT)'

test: install
	$(BIN)/python -m pytest

check: install
	$(BIN)/ruff check src tests benchmarks tools
	$(BIN)/ruff format --check src tests benchmarks tools
	$(BIN)/mypy
	$(BIN)/lint-imports

clean:
	rm -rf .venv
