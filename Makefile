# The commands of this repository; `make` lists them. CI runs `make ci` on a fresh clone.

RUN := .venv/bin/uv run --quiet

.DEFAULT_GOAL := help
.PHONY: help dev fmt check test coverage mutants sample fuzz audit schema wheel pythons image binary accept chaos chaos-long soak upgrade-load bench bench-peers screenshots lock ci

help: ## list the commands
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "%-12s %s\n", $$1, $$2}'

.venv/bin/uv:
	python3 -m venv .venv && .venv/bin/pip install --quiet uv

dev: .venv/bin/uv ## run everything: Postgres, web, worker, cron
	$(RUN) app dev

fmt: .venv/bin/uv ## format and mend what can be mended
	$(RUN) ruff format .
	$(RUN) ruff check --fix .

check: .venv/bin/uv ## formatting, lint, security lint, types, layers
	$(RUN) ruff format --check .
	$(RUN) ruff check .
	$(RUN) bandit --quiet --configfile pyproject.toml --recursive pillars jobs crons page
	$(RUN) mypy
	$(RUN) lint-imports

test: .venv/bin/uv ## the tests, as the README says
	.venv/bin/uv run pytest

coverage: export COVERAGE_PROCESS_START = $(CURDIR)/pyproject.toml
coverage: .venv/bin/uv ## the same, counting lines and branches, in all processes, against the floor
	$(RUN) coverage erase
	$(MAKE) test
	$(RUN) coverage combine --quiet
	$(RUN) coverage report --skip-covered

mutants: .venv/bin/uv ## take out each protection in a copy, and see the test that guards it fail
	$(RUN) python deploy/mutate.py

sample: .venv/bin/uv ## eight of the mutants, drawn by the commit
	$(RUN) python deploy/mutate.py --sample 8

fuzz: export FUZZ_EXAMPLES ?= 2000
fuzz: .venv/bin/uv ## feed every reader, and the API, with this many odd inputs each; CI tries a hundred
	$(RUN) pytest tests/fuzz -n 2 --override-ini faulthandler_timeout=0 --override-ini timeout=3600

audit: .venv/bin/uv ## look up what is pinned among the known vulnerabilities; needs PyPI's advisories, so CI does not
	$(RUN) --with 'pip-audit>=2.9,<3' python deploy/audit.py

schema: .venv/bin/uv ## dump the migrated schema to sql/pillars/schema.sql
	$(RUN) python deploy/schema.py > sql/pillars/schema.sql

wheel: .venv/bin/uv ## build the wheel, try it in an empty folder, run the smoke tests on it
	sh deploy/wheel.sh

pythons: .venv/bin/uv ## the same on every Python that is supported, by plain pip too
	sh deploy/pythons.sh

image: .venv/bin/uv ## build what the Dockerfile builds, in an empty folder, and run its roles
	sh deploy/image.sh

binary: .venv/bin/uv ## make one executable file of the application and the runtime: dist/app
	$(RUN) sh deploy/binary.sh

accept: .venv/bin/uv ## run the issue's acceptance on real settings and print what was seen
	$(RUN) python deploy/accept.py

chaos: .venv/bin/uv ## kill, freeze, cut off and poison real processes, and check every history; about eleven minutes
	$(RUN) python deploy/chaos_suite.py

chaos-long: .venv/bin/uv ## the same for an hour, seed after seed
	$(RUN) python deploy/chaos_suite.py --long

soak: .venv/bin/uv ## ten minutes of mixed load: descriptors, tasks and memory of each process do not grow
	$(RUN) python deploy/soaking.py

upgrade-load: .venv/bin/uv ## apply migrations to a million jobs while a worker claims: none stands still for a second
	$(RUN) python deploy/upgrade_load.py

bench: .venv/bin/uv ## measure everything beside a bare asyncpg program, about an hour; docs/benchmarks.md says what
	$(RUN) app bench

bench-peers: .venv/bin/uv ## this runtime beside others, each at its best settings: the same jobs, one worker process, one server
	$(RUN) python -m bench peers

screenshots: .venv/bin/uv ## take the pictures of docs/img anew, of what has visibly changed
	$(RUN) python deploy/screenshots.py

lock: .venv/bin/uv ## pin what the Dockerfile and plain pip install
	.venv/bin/uv pip compile --quiet --universal --extra starter --generate-hashes --no-emit-index-url --no-header --output-file requirements.lock pyproject.toml

ci: check coverage sample wheel image ## what must pass before anything lands
