# The one entry: every target makes .venv by itself. Nothing else needs to be installed or set.
.PHONY: demo test test-spark test-oracle check format serve soak bench bento lock clean
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
SPARK := .spark
SPARK_READY := $(SPARK)/.ready
ORACLE := .oracle
ORACLE_READY := $(ORACLE)/.ready

$(READY): requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

# Beside .venv and not in it: Spark is 500 MB that only these tests need. It comes as source, built with the locked setuptools.
$(SPARK_READY): requirements-spark.lock $(READY)
	rm -rf $(SPARK)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps --no-build-isolation \
	  --no-compile --target $(SPARK) -r requirements-spark.lock
	@touch $@

# Beside .venv like Spark: EconML and what it needs beyond requirements.lock, 310 MB that only these tests need.
$(ORACLE_READY): requirements-oracle.lock $(READY)
	rm -rf $(ORACLE)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps \
	  --target $(ORACLE) -r requirements-oracle.lock
	@touch $@

demo: $(READY)  ## the main job on real data
	$(BIN)/foresight demo

# In the order of the folders: xdist would begin with the files of many tests, and end with one core on the slow ones.
# One thread of OpenMP a process, since there is a process a core: threads that wait for each other cost a third more.
test: $(READY)  ## all tests
	OMP_NUM_THREADS=1 $(BIN)/pytest -n auto --dist loadfile --no-loadscope-reorder

test-spark: $(SPARK_READY)  ## the features on Spark (needs Java 17), skipped with the reason where it is missing
	PYTHONPATH=$(SPARK) $(BIN)/pytest -m spark -rs

test-oracle: $(ORACLE_READY)  ## the learners of effects beside those of EconML
	PYTHONPATH=$(ORACLE) $(BIN)/pytest -m oracle -rs

check: $(READY)  ## format, lint, types, import layers, packages that fit and have no known vulnerability
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/basedpyright
	$(BIN)/lint-imports
	$(BIN)/python -m pip check --disable-pip-version-check
	$(BIN)/python .ci/audit.py

format: $(READY)  ## rewrite what can be rewritten
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

serve: $(READY)  ## the service on http://127.0.0.1:3000, after make demo
	$(BIN)/foresight serve -c examples/complete_journey

soak: $(READY)  ## long studies: how often the gate errs, in thousands of simulated comparisons
	$(BIN)/pytest -m soak -n auto

bench: $(READY)  ## speed, each figure beside a baseline of the same run
	$(BIN)/python -m benchmarks

bento: $(READY)  ## the service as a bento (docs/operations.md)
	mkdir -p build
	$(BIN)/python deploy/serving_requirements.py > build/serving.lock
	BENTOML_DO_NOT_TRACK=True $(BIN)/bentoml build . -f deploy/bentofile.yaml

LOCK := uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header
EXTRA = $(PYTHON) -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["$(1)"], sep="\n")'
LOCKED := sed -n 's/^\([A-Za-z0-9._-]*\)==.*/--no-emit-package \1/p' requirements.lock

lock:  ## compile requirements.lock, and beside it what the extras spark and oracle need more, anew (needs uv)
	$(LOCK) --extra examples --extra dev --extra otel pyproject.toml -o requirements.lock
	$(call EXTRA,spark) | $(LOCK) --constraints requirements.lock - -o requirements-spark.lock
	$(call EXTRA,oracle) | $(LOCK) --constraints requirements.lock $$($(LOCKED)) - -o requirements-oracle.lock

clean:  ## forget models, scores and decisions; the tables are not touched
	rm -rf .foresight mlruns/mlflow.db* mlruns/artifacts
