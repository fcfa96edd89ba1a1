# The commands of this repository; `make` lists them. CI runs `make ci` on a fresh clone.

RUN := .venv/bin/uv run --quiet

.DEFAULT_GOAL := help
.PHONY: help dev fmt check test coverage mutants sample schema wheel pythons accept screenshots lock ci

help: ## list the commands
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "%-12s %s\n", $$1, $$2}'

.venv/bin/uv:
	python3 -m venv .venv && .venv/bin/pip install --quiet uv

dev: .venv/bin/uv ## run everything: Postgres, web, worker, cron
	$(RUN) app dev

fmt: .venv/bin/uv ## format and mend what can be mended
	$(RUN) ruff format .
	$(RUN) ruff check --fix .

check: .venv/bin/uv ## formatting, lint, types, layers
	$(RUN) ruff format --check .
	$(RUN) ruff check .
	$(RUN) mypy
	$(RUN) lint-imports

test: .venv/bin/uv ## the tests, as the README says
	.venv/bin/uv run pytest

coverage: .venv/bin/uv ## the tests, with branch coverage and its floor
	$(RUN) coverage erase
	$(RUN) coverage run -m pytest
	$(RUN) coverage combine --quiet
	$(RUN) coverage report

mutants: .venv/bin/uv ## take out each protection in a copy, and see the test that guards it fail
	$(RUN) python deploy/mutate.py

sample: .venv/bin/uv ## eight of the mutants, drawn by the commit
	$(RUN) python deploy/mutate.py --sample 8

schema: .venv/bin/uv ## dump the migrated schema to sql/pillars/schema.sql
	$(RUN) python deploy/schema.py > sql/pillars/schema.sql

wheel: .venv/bin/uv ## build the wheel, try it in an empty folder, run the smoke tests on it
	sh deploy/wheel.sh

pythons: .venv/bin/uv ## the same on every Python that is supported, by plain pip too
	sh deploy/pythons.sh

accept: .venv/bin/uv ## run the issue's acceptance on real settings and print what was seen
	$(RUN) python deploy/accept.py

screenshots: .venv/bin/uv ## take the pictures of docs/img anew, of what has visibly changed
	$(RUN) python deploy/screenshots.py

lock: .venv/bin/uv ## pin what the Dockerfile and plain pip install
	.venv/bin/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --output-file requirements.lock pyproject.toml

ci: check test sample wheel ## what must pass before anything lands
