# What a clone can do with Python 3.11 and make alone. `make` lists it.
#
# The environment in .venv is the project's own: whatever virtual environment, PYTHONPATH or pip
# option is active outside does not reach it; where pip finds its packages does.
unexport VIRTUAL_ENV PYTHONPATH PYTHONHOME PYTHONSTARTUP
unexport PIP_TARGET PIP_PREFIX PIP_ROOT PIP_PYTHON PIP_REQUIREMENT PIP_CONSTRAINT PIP_EDITABLE
unexport PIP_NO_DEPS PIP_PRE PIP_DRY_RUN PIP_REPORT PIP_REQUIRE_VIRTUALENV PIP_REQUIRE_HASHES
unexport PIP_NO_BUILD_ISOLATION PIP_QUIET PIP_VERBOSE
unexport GOFLAGS GOOS GOARCH GOBIN
export PYTHONNOUSERSITE = 1
export PIP_USER = 0

.DEFAULT_GOAL := help
.PHONY: help race soak test lint examples fuzz bench clean environment environment-dev environment-soak stripe-mock

# stripe-mock, where `make` put it there and the user named none.
WITH_STRIPE_MOCK = if [ -x .tools/stripe-mock ] && [ -z "$${DEADHEAT_STRIPE_MOCK+set}" ]; then \
	DEADHEAT_STRIPE_MOCK=$$(pwd)/.tools/stripe-mock; export DEADHEAT_STRIPE_MOCK; fi

# Most of the tests wait for processes; a file's tests stay together, for what they share.
SIDE_BY_SIDE = -n 3 --dist loadfile

help:
	@echo 'make race    race the reference implementation; TARGET=before, a settings file or a URL'
	@echo '             races that instead, and ARGS="…" is passed on to `deadheat run`'
	@echo 'make soak    load by locust for a minute, and the invariants over all that it made; TARGET="…"'
	@echo '             as above, and ARGS="…" is passed on to `deadheat soak`'
	@echo 'make test    lint, types, layering and every test; ARGS="…" is passed on to pytest'
	@echo 'make lint    only what the code base says of itself: lint, types, layering, house rules'
	@echo 'make examples  install dj-stripe and a site on Node, and race them, in minutes; see docs/examples.md'
	@echo 'make fuzz    hostile bytes on every port, a million inputs or 20 minutes; ARGS="--minutes 5"'
	@echo 'make bench   what proxy, simulator and control cost, side by side; see docs/benchmarks.md'
	@echo 'make clean   remove .venv, .tools and caches; what runs found, in .deadheat, stays'

race: environment stripe-mock
	@$(WITH_STRIPE_MOCK); exec .venv/bin/deadheat run $(if $(TARGET),--target "$$TARGET") $(ARGS)

soak: environment-soak stripe-mock
	@$(WITH_STRIPE_MOCK); exec .venv/bin/deadheat soak $(if $(TARGET),--target "$$TARGET") $(ARGS)

test: environment-dev stripe-mock
	@$(WITH_STRIPE_MOCK); exec .venv/bin/python -m pytest $(SIDE_BY_SIDE) $(ARGS)

lint: environment-dev
	@exec .venv/bin/python -m pytest --quiet tests/house $(ARGS)

examples: environment-dev stripe-mock
	@$(WITH_STRIPE_MOCK); export DEADHEAT_EXAMPLES=1; \
		exec .venv/bin/python -m pytest -q -s tests/examples $(ARGS)

fuzz: environment-dev
	@exec .venv/bin/python tests/integration/fuzz.py $(ARGS)

bench: environment-dev stripe-mock
	@.venv/bin/python tests/benchmarks/bench_proxy.py
	@$(WITH_STRIPE_MOCK); .venv/bin/python tests/benchmarks/bench_stripe.py
	@exec .venv/bin/python tests/benchmarks/bench_conductor.py

environment:
	@sh .ci/environment

environment-dev:
	@sh .ci/environment dev

environment-soak:
	@sh .ci/environment soak

stripe-mock:
	@[ -n "$${DEADHEAT_STRIPE_MOCK+set}" ] || sh .ci/stripe-mock

clean:
	@rm -rf .venv .tools build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
