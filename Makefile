# The whole day's work as short words; `make` alone lists them.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules --warn-undefined-variables
# Empty counts as unset: tests and sources are compiled once, not once for every process.
export PYTHONDONTWRITEBYTECODE :=

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
TESTS ?= tests
INTERPRETED := $(CURDIR)/.cache/interpreted
# Tests at once where several run.
WORKERS ?= auto
ON_POSTGRESQL ?= tests/store tests/engine tests/faults tests/apis tests/e2e

.PHONY: help
help: ## List these targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

.PHONY: setup
setup: $(STAMP) ## Make .venv with everything, from Python 3.11+ and PyPI alone; compile what changed
	$(BIN)/python scripts/compile.py

$(STAMP): pyproject.toml constraints.txt scripts/find_python.sh
	$$(scripts/find_python.sh) -m venv $(VENV)
	# What is used of the libraries is compiled when it is used first: a third of all.
	$(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	# Where Python is told to write no bytecode, every process would compile our sources anew.
	$(BIN)/python -m compileall -q generated server
	touch $@

.PHONY: generate
generate: setup ## Write generated/ from protos/
	$(BIN)/python scripts/generate.py

.PHONY: lint
lint: setup ## Check style, types, import laws and protos
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/buf lint
	$(BIN)/buf format --diff --exit-code

.PHONY: run
run: setup ## Start a development server with a worker in it
	$(BIN)/jobyard serve --dev

.PHONY: demo
demo: setup ## Run one real job through REST, gRPC and the command line
	$(BIN)/python examples/demo.py

.PHONY: test
test: setup ## Run the tests; TESTS=tests/domain runs one folder
	$(BIN)/python -m pytest --numprocesses=$(WORKERS) --dist=loadfile --no-loadscope-reorder $(TESTS)

.PHONY: test-interpreted
test-interpreted: setup ## Run the transcoder's tests on Python alone, as where there is no C compiler
	rm -rf $(INTERPRETED) && mkdir -p $(INTERPRETED)
	cp -r server $(INTERPRETED) && find $(INTERPRETED) -name '*.so' -delete && ln -s $(CURDIR)/generated $(INTERPRETED)
	PYTHONPATH=$(INTERPRETED)/server JOBYARD_COMPILED=no $(BIN)/python -m pytest --numprocesses=$(WORKERS) \
		--dist=loadfile tests/transcoding

.PHONY: test-postgresql
test-postgresql: setup ## Run store, APIs and whole servers on Debian's PostgreSQL, which it installs; `make test` uses PyPI's
	found=$$(scripts/find_postgres.sh) && POSTGRES_BIN=$$found DATABASES=postgresql TEST_DATABASE=postgresql $(BIN)/python -m pytest \
		--numprocesses=$(WORKERS) --dist=loadfile $(ON_POSTGRESQL)

.PHONY: fault
fault: setup ## Crash, cut and cross databases and servers for minutes; `make test` does it for seconds
	LONG=1 $(BIN)/python -m pytest --timeout 600 tests/faults tests/store/test_races.py tests/e2e/test_kill.py

.PHONY: frozen
frozen: setup ## Run the tests whose clock stands still; installs Debian's faketime
	found=$$(scripts/find_faketime.sh) && FAKETIME_LIBRARY=$$found $(BIN)/python -m pytest tests/apis/qinling/frozen tests/e2e/frozen

.PHONY: fault-schedules
fault-schedules: setup ## Kill a server for five minutes while its clock goes fast, and match its schedules with an oracle
	found=$$(scripts/find_faketime.sh) && FAULT_SECONDS=300 FAKETIME_LIBRARY=$$found $(BIN)/python -m pytest tests/e2e/frozen/test_cron_oracle.py

# The clients' servers keep their jobs in a file; with TEST_DATABASE=postgresql on the command line, in PostgreSQL.
.PHONY: clients-qinling
clients-qinling: setup ## Run the real clients of Qinling, from an environment of their own
	found=$$(scripts/qinling_client.sh $(BIN)/python) && QINLING_CLIENT=$$found $(BIN)/python -m pytest tests/apis/qinling/clients

.PHONY: clients-viya
clients-viya: setup ## Run the real clients of SAS Viya, each from an environment of its own; needs Node.js
	found=$$(scripts/viya_clients.sh $(BIN)/python) && VIYA_CLIENTS=$$found $(BIN)/python -m pytest tests/apis/viya/clients

.PHONY: keystone
keystone: setup ## Run the tests with a real Keystone of OpenStack, from an environment of its own
	found=$$(scripts/keystone.sh $(BIN)/python) && KEYSTONE=$$found $(BIN)/python -m pytest tests/server/keystone

.PHONY: s3
s3: setup ## Run the tests of buckets against a server that speaks S3, from an environment of its own
	found=$$(scripts/s3_server.sh $(BIN)/python) && S3_SERVER=$$found $(BIN)/python -m pytest tests/outbound/s3

.PHONY: promises
promises: setup ## Ask a running server everything its OpenAPI documents promise; `make test` asks a little
	PHASES=coverage,fuzzing,stateful EXAMPLES=5 $(BIN)/python -m pytest tests/e2e/test_openapi_holds.py

.PHONY: lint-deploy
lint-deploy: setup ## Check deploy/: image, compose file, manifests, Prometheus's files
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[deploy]'
	$(BIN)/hadolint deploy/Dockerfile
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec deploy/compose/compose.yaml
	$(BIN)/kubernetes-validate --quiet --strict $(filter-out %/kustomization.yaml,$(wildcard deploy/kubernetes/*.yaml))
	$$(scripts/find_promtool.sh) check config deploy/prometheus/prometheus.yaml

.PHONY: fuzz
fuzz: setup ## Send a quarter of an hour of nonsense to routes, bindings, JSON and connections; `make test` sends half a minute
	JOBYARD_FUZZ_SECONDS=300 JOBYARD_FUZZ_EXAMPLES=50000 $(BIN)/python -m pytest --timeout=3600 \
	    tests/transcoding/test_fuzz.py tests/transcoding/codec/test_fuzz.py tests/transcoding/codec/test_wire.py \
	    tests/transcoding/test_connection_fuzz.py

.PHONY: breaking
breaking: setup ## Check that no client of a release breaks
	scripts/check_breaking.sh $(BIN)/buf

.PHONY: verify
verify: lint breaking ## Check all that is said without running a server, also that generated/ is in step
	$(BIN)/python -m pytest --quiet tests/test_architecture.py tests/test_generated.py tests/test_wheel.py

.PHONY: bench
bench: setup ## Measure; every program in benchmarks/ prints its own table
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[bench]'
	for program in $$(find benchmarks -name "[!_]*.py" | sort); do $(BIN)/python "$$program"; done

.PHONY: docs
docs: setup ## Execute the README and check the links of every page
	$(BIN)/python -m pytest --quiet tests/test_readme.py tests/test_docs.py

.PHONY: lock
lock: setup ## Write the versions now installed to constraints.txt
	$(BIN)/python -m pip freeze --exclude-editable > constraints.txt
