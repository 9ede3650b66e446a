# The one entry: every target makes .venv by itself. Nothing else needs to be installed or set.
.PHONY: demo test check format serve bench lock clean
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

$(READY): requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: $(READY)  ## the main job on real data
	$(BIN)/foresight demo

test: $(READY)  ## all tests
	$(BIN)/pytest

check: $(READY)  ## format, lint, types, import layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/basedpyright
	$(BIN)/lint-imports

format: $(READY)  ## rewrite what can be rewritten
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

serve: $(READY)  ## the service on http://127.0.0.1:3000, after make demo
	$(BIN)/foresight serve -c examples/complete_journey

bench: $(READY)  ## speed, each figure beside a baseline of the same run
	$(BIN)/python -m benchmarks

lock:  ## compile requirements.lock anew (needs uv)
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
	  --all-extras --no-header pyproject.toml -o requirements.lock

clean:  ## forget models, scores and decisions; the tables are not touched
	rm -rf .foresight mlruns/mlflow.db* mlruns/artifacts
