# make demo   the whole path on synthetic data, in a virtual environment of its own
# make test   all tests            make check   lint, format, types, import contracts (the hooks of pre-commit)
# make coverage   all tests, with the share of lines and branches that they reach: too small a share fails
# make docs   the documentation site, into site/: a dead link or a public name without a docstring fails
# make test-opencv4   what touches OpenCV, with OpenCV 4 and without torch; `make test` has the newest, which is 5
# make fuzz MINUTES=10   random damage to the files that facepad reads; each finding becomes a file in tests/corpus
# make dist   sdist and wheel into dist/, checked, and the wheel tried in an environment of its own
# TORCH_INDEX: an extra package index with CPU builds of torch (see https://pytorch.org/get-started/locally/)
PYTHON ?= python3
TORCH_INDEX ?=
BIN := .venv/bin
DEMO_OUT ?= demo-output

# Tests of the modules that import cv2, as far as they need no torch. Other tests of data sets only read and write images.
OPENCV_TESTS := $(addprefix tests/unit/,media/test_images.py media/test_phone_files.py media/test_videos.py runtime/test_parallel.py recapture depth/test_make.py \
	faces/test_detectors.py faces/test_geometry.py faces/test_pose.py faces/test_quality.py training/test_augment.py \
	datasets/test_lookalike.py datasets/test_synthetic_videos.py datasets/pack datasets/procedural \
	benchmarks/test_lbp_svm.py) tests/properties/test_geometry.py \
	$(addprefix src/facepad/,training/augment.py datasets depth/preview.py depth/warp.py faces recapture)
BIN4 := .venv-opencv4/bin

.PHONY: install demo test coverage fuzz fuzz-page test-opencv4 check lint types contracts dist docs clean
install: .venv/installed

# Bytecode is kept, whatever the environment says: the tests start hundreds of processes. pip would compile every file of
# every package, which takes a minute. Collecting the tests compiles what they import.
unexport PYTHONDONTWRITEBYTECODE
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile

# torch first and pinned, so that TORCH_INDEX can give its CPU build: on Linux PyPI's brings gigabytes of CUDA.
.venv/installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	{ echo "facepad needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1). Name another: make PYTHON=python3.12" >&2; exit 1; }
	@start=$$(date +%s); \
	$(PYTHON) -m venv .venv && \
	$(PIP) $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) torch==2.13.0 && \
	$(PIP) --editable '.[dev]' && \
	{ $(BIN)/python -m pytest --collect-only > /dev/null || true; } && \
	touch $@ && echo "installed in $$(( $$(date +%s) - start )) s"

demo: install
	@if [ -e '$(DEMO_OUT)' ] && [ ! -e '$(DEMO_OUT)/data/manifest.csv' ]; then echo '$(DEMO_OUT) is no demo output: remove it, or choose another DEMO_OUT' >&2; exit 1; fi
	@rm -rf '$(DEMO_OUT)'
	$(BIN)/facepad demo '$(DEMO_OUT)'

# Four processes on two processors, because many tests wait for a browser or for processes that they started. A process
# without tests takes some from the process that has the most.
PYTEST := $(BIN)/python -m pytest --numprocesses 4 --dist worksteal

test: install
	$(PYTEST)

coverage: install
	rm -f .coverage .coverage.*
	$(PYTEST) --cov --cov-report=term

.venv-opencv4/installed: pyproject.toml
	$(PYTHON) -m venv .venv-opencv4
	$(BIN4)/python -m pip install --quiet --disable-pip-version-check --no-compile --editable . 'opencv-python-headless<5' \
		hypothesis pytest pytest-timeout scikit-image scikit-learn
	touch $@

# The hunt for faults in the readers: docs/results/fuzz.md. It continues, and adds to the counts in docs/results/fuzz.json.
MINUTES ?= 10
FUZZ := PYTHONPATH=.:tests $(BIN)/python -m tools.fuzz
fuzz: install
	$(FUZZ) --minutes $(MINUTES)

fuzz-page: install
	$(FUZZ) --page

test-opencv4: .venv-opencv4/installed
	$(BIN4)/python -m pytest $(OPENCV_TESTS)

CHECKED := src tests benchmarks tools $(wildcard examples)

check: lint types contracts

lint: install
	$(BIN)/ruff check $(CHECKED)
	$(BIN)/ruff format --check $(CHECKED)

types: install
	$(BIN)/mypy

contracts: install
	$(BIN)/lint-imports

dist: install
	rm -rf dist
	$(BIN)/python -m build --quiet
	$(BIN)/twine check --strict dist/*
	$(BIN)/python tools/try_wheel.py dist/*.whl

# The variable silences the theme's notice about the next MkDocs.
docs: install
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

clean:
	rm -rf .venv .venv-opencv4 site
