# The commands prepare .venv by themselves, once. Needed before: Python 3.11 to 3.13, git, make.
PYTHON ?= python3
VENV   ?= .venv
LESSON ?= 02_dcgan
PRESET ?=
PORT   ?=
BENCH  ?= steps compiling profile overhead growth time_to_quality precision
PY      = $(VENV)/bin/python
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: help run test test-kill test-devices fuzz test-browser gpu-loads faults lint speedrun bench lab student site site-serve test-site refresh record address test-oldest clean

help:             ## this list
	@grep -E '^[a-z-]+: *.*##' Makefile | sed -E 's/^([a-z-]+):.*## */\1\t/' | expand -t 14

run: $(VENV)/ready ## run a lesson: make run LESSON=02_dcgan PRESET=quick
	@$(PY) -m tools.project run "$(LESSON)" "$(PRESET)"

# Two tests run at a time (tests/conftest.py says which stay together). Each has one thread, as the
# threads of both would wait for each other, and no more of a GPU than it needs.
ALONE = TF_NUM_INTRAOP_THREADS=1 TF_NUM_INTEROP_THREADS=1 OMP_NUM_THREADS=1 \
	TF_FORCE_GPU_ALLOW_GROWTH=true

test: lint $(VENV)/export ## all that CI runs: lint, unit tests, every lesson at `smoke`
	@# Without DATA_DIR the stand-ins do: a test downloads no gigabytes. XLA compiles for longer
	@# than a step at smoke runs; tests of XLA, and the lesson that .ci/run runs, have it on.
	@[ -n "$$DATA_DIR" ] || export STANDIN=$${STANDIN:-always}; OUT=$$(mktemp -d) && \
	  OUTPUT_DIR="$$OUT" PRESET=smoke RESTART= PRECISION= DEVICES= XLA=0 $(ALONE) \
	  $(PY) -m pytest -n 2 --nbval-lax tests notebooks; \
	  status=$$?; rm -rf "$$OUT"; exit $$status

test-kill: $(VENV)/ready ## every lesson that trains, killed at random and run again; sizes of `paper`
	$(PY) -m pytest -m slow -s tests/test_kill.py tests/test_paper.py

test-devices: $(VENV)/ready ## every lesson on two devices, and four in two processes
	$(PY) -m pytest -m slow tests/test_device.py tests/test_workers.py

fuzz: $(VENV)/ready ## a thousand mutated archives, images, checkpoints and options
	$(PY) -m pytest -m slow tests/test_fuzz.py

test-browser: $(VENV)/ready ## every lesson in JupyterLab, through a headless Chromium
	$(PY) -m pip install --quiet selenium
	$(PY) -m pytest -m browser -rs tests/test_browser.py

gpu-loads: $(VENV)/ready ## what a machine with a GPU and without a network gets, and a rehearsal; an hour
	$(PY) -m tools.gpu.rehearsal

faults: $(VENV)/ready ## the table of all that was broken on purpose; a quarter of an hour
	$(PY) -m pytest -m fault --faults tests

lint: $(VENV)/ready ## ruff over code and lessons
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

speedrun: $(VENV)/ready ## seconds until lesson 02 draws good digits, three seeds
	@$(PY) -m benchmarks.speedrun

bench: $(VENV)/ready ## all measurements of speed, hours; some: make bench BENCH="steps growth"
	for name in $(BENCH); do $(PY) -m benchmarks.$$name || exit 1; done

lab: $(VENV)/ready ## open the lessons in JupyterLab
	$(PY) -m jupyter lab --LabApp.default_url="/lab/tree/notebooks/$(LESSON).ipynb"

student: $(VENV)/ready ## a copy of a lesson in which you write the losses and the step
	@$(PY) -m tools.project student "$(LESSON)"

site: $(VENV)/site ## the lessons as a web site, in docs/_build/html
	@$(PY) -m tools.site build

site-serve: site  ## show the site on this machine, PORT=8000 or any free one
	@$(PY) -m tools.site serve "$(PORT)"

test-site: $(VENV)/site ## the whole site: links, sizes, and pages in a headless Chromium
	$(PY) -m pip install --quiet selenium
	$(PY) -m pytest -m "slow or not slow" -rs tests/test_site*.py

refresh: $(VENV)/ready ## save in the pages, and in outputs/gallery, what their records show
	@$(PY) -m tools.project refresh

record: $(VENV)/ready ## make a finished run the record: make record RUN=outputs/02_dcgan/long
	@$(PY) -m tools.project record "$(RUN)"

address: $(VENV)/ready ## copy the address in pyproject.toml to lessons, README and CITATION
	@$(PY) -m tools.project address

test-oldest:      ## all tests with TensorFlow 2.19 and Keras 3.10 on Python 3.11
	$(MAKE) test PYTHON=python3.11 VENV=.venv-oldest CONSTRAINTS=constraints-oldest.txt

clean:            ## remove .venv and the site; what runs wrote in outputs/ stays
	rm -rf .venv .venv-oldest docs/_build docs/_npm

CONSTRAINTS ?= constraints.txt
$(VENV)/ready: requirements.txt $(CONSTRAINTS) pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
	  { echo "Python 3.11 to 3.13 is needed, and $(PYTHON) is another. Try: make run PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet -r requirements.txt -c $(CONSTRAINTS)
	@touch $@

# What only exports need, so that no test of them is skipped; `make run` does without.
$(VENV)/export: $(VENV)/ready
	$(PY) -m pip install --quiet -e '.[export]' -c $(CONSTRAINTS)
	@touch $@

# Sphinx and what it needs to make the site; its photographs need ONNX files.
$(VENV)/site: $(VENV)/export
	$(PY) -m pip install --quiet -e '.[site]' -c $(CONSTRAINTS)
	@touch $@
