# Needs Python 3.11 or newer with pip, and make. Each target sets up what it needs, once.
#
#   make reproduce       re-measures the headline claims of every paper; the report is in results/
#   make reproduce-all   re-measures every claim of every paper
#   make test            runs the tests and the doctests on every backend
#   make test-extras     runs the tests that need keras-hub and keras-cv, on every backend
#   make test-tutorials  runs the tutorials as plain scripts at smoke scale, on every backend
#   make lint            linter, formatter and type checker
#   make docs            builds the site into site/
#   make serve           shows the site at http://127.0.0.1:8000, and again after each change
#   make test-site       uses the site in a headless Chromium, which must be installed
#   make tutorials       executes the tutorials at laptop scale: the notebooks beside their sources
#   make records         re-measures what the site shows: every claim and control on every backend
#   make dist            builds what PyPI gets, into dist/, and checks it
#   make clean           removes everything that these made, except results/
#
# Variables: SCALE=smoke|laptop|paper and BACKEND=jax|tensorflow|torch for the first two,
# BACKENDS="jax torch" for tests and records, KEY=<key> for the records of one paper,
# PYTHON=python3.12 for all of them.

PYTHON ?= python3
SCALE ?= laptop
BACKEND ?= jax
BACKENDS ?= jax tensorflow torch

ifeq ($(filter $(BACKEND),jax tensorflow torch),)
$(error BACKEND must be jax, tensorflow or torch, got '$(BACKEND)')
endif

WDATTN = .venv-$(BACKEND)/bin/wdattn
PYTEST = .venv/bin/python -m pytest --numprocesses auto --dist loadfile

.PHONY: help reproduce reproduce-all test test-extras test-tutorials test-site lint docs serve \
	pages tutorials records dist clean
.DELETE_ON_ERROR:

help:
	@sed -n 's/^#   //p' Makefile

reproduce: .venv-$(BACKEND)/installed
	$(WDATTN) reproduce --scale $(SCALE) --backend $(BACKEND)

reproduce-all: .venv-$(BACKEND)/installed
	$(WDATTN) reproduce --all --scale $(SCALE) --backend $(BACKEND)

# Every backend has its turn even where one before it failed; then any failure fails the target.
define on_every_backend
	@failed=""; \
	for backend in $(BACKENDS); do \
		echo "== $$backend"; \
		KERAS_BACKEND=$$backend $(1) || failed="$$failed $$backend"; \
	done; \
	test -z "$$failed" || { echo "tests failed on:$$failed" >&2; exit 1; }
endef

# The tests fill the cores with processes: threads in each of them only wait for one another.
test test-tutorials test-extras: export OMP_NUM_THREADS = 1
# JAX would spend half of its time in XLA's compiler; tutorials and papers run fully optimised.
test: export JAX_DISABLE_MOST_OPTIMIZATIONS = 1
test: .venv/installed
	$(call on_every_backend,$(PYTEST) --ignore $(TUTORIALS_TEST))

# In a step of its own: each tutorial starts a process, and trains.
TUTORIALS_TEST = tests/test_tutorials.py
test-tutorials: .venv/installed
	$(call on_every_backend,$(PYTEST) --dist load $(TUTORIALS_TEST))

EXTRAS_TESTS = tests/diagnostics/test_keras_hub.py \
	"$(TUTORIALS_TEST)::test_it_runs_as_a_plain_script[08_your_model_under_the_gauges]"
# Without the extras these tests skip themselves; here a skip would hide that one is missing.
test-extras: .venv-extras/installed
	@.venv-extras/bin/python -c 'from importlib.metadata import version; \
		print("keras-hub", version("keras-hub"), "keras-cv", version("keras-cv"))'
	$(call on_every_backend,.venv-extras/bin/python -m pytest $(EXTRAS_TESTS))

lint: .venv/installed
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

# What is stored is not made again, so that this goes on where it stopped. One paper and backend:
# make records KEY=<key> BACKENDS=jax
RECORDS = docs/records
KEY =
records: .venv/installed
	for backend in $(BACKENDS); do \
		.venv/bin/wdattn reproduce $(or $(KEY),--all) --controls --backend $$backend --out $(RECORDS) || exit 1; \
	done
	KERAS_BACKEND=jax .venv/bin/python -m docs.generators.explorables.measure $(KEY)
	KERAS_BACKEND=jax .venv/bin/python -m docs.generators.records $(KEY)

# `python -m`: the pages take their numbers from the package docs.generators, which lies here.
docs serve: export NO_MKDOCS_2_WARNING = 1
docs: pages
	.venv-docs/bin/python -m mkdocs build --strict

serve: pages
	.venv-docs/bin/python -m mkdocs serve

pages: .venv-docs/installed
	.venv-docs/bin/python tutorials/build.py pages
	.venv-docs/bin/python -m docs.generators

# tests/conftest.py, which wants a backend, is left out. A skip would hide that Chromium is missing.
test-site: .venv-site/installed docs
	@test -n "$$CHROMIUM" || for name in chromium chromium-browser google-chrome; do \
		command -v $$name && break; done || { echo "no Chromium is installed" >&2; exit 1; }
	SITE=site .venv-site/bin/python -m pytest --confcutdir=tests/site tests/site

tutorials: .venv-tutorials/installed
	KERAS_BACKEND=jax .venv-tutorials/bin/python tutorials/build.py run

dist: .venv-dist/installed
	rm -rf dist
	.venv-dist/bin/python -m build
	.venv-dist/bin/python -m twine check --strict dist/*

clean:
	rm -rf .venv .venv-* site build dist .pytest_cache .mypy_cache .ruff_cache
	find wdattn tests -name __pycache__ -prune -exec rm -rf {} +

# A virtual environment with the package and its extras. The stamp is written last, so that an
# interrupted install is done again.
define install
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "$(PYTHON) is not Python 3.11 or newer; name one that is: make PYTHON=..." >&2; exit 1; }
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --constraint constraints.txt --editable ".[$(EXTRAS)]"
	@touch $@
endef

.venv/installed: EXTRAS = jax,tensorflow,torch,test
.venv/installed: pyproject.toml constraints.txt
	$(install)

.venv-extras/installed: EXTRAS = jax,tensorflow,torch,hub,cv,test
.venv-extras/installed: pyproject.toml constraints.txt
	$(install)

.venv-tutorials/installed: EXTRAS = jax,tensorflow,hub,cv,tutorials
.venv-tutorials/installed: pyproject.toml constraints.txt
	$(install)

.venv-%/installed: EXTRAS = $*
.venv-%/installed: pyproject.toml constraints.txt
	$(install)
