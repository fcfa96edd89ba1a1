"""docs/deploy says what the files say, and names what there is."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy import reading
from deploy.reading import LEEWAY, ROOT, VARIABLES, said, text
from pillars.durations import duration
from pillars.service.health import METRICS, ROUTES
from pillars.settings import values

FOLDER = ROOT / "docs" / "deploy"
PAGES = sorted(FOLDER.glob("*.md"))
BLOCK = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# In a line of code or within backticks whatever is said to app; elsewhere it is a word.
COMMAND = re.compile(
    r"(?:`|^(?: {4}|\./|python3\.\d+ |.*: \[?))app ([a-z][^`\n|;&\x22\]]*)", re.MULTILINE
)


def block(page: str, language: str) -> str:
    """The only block of a page in a language that repeats no file."""
    [found] = [
        body
        for kind, file, body in BLOCK.findall(text(f"docs/deploy/{page}"))
        if kind == language and not file
    ]
    return str(found)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_block_that_repeats_a_file_is_that_file(page: Path) -> None:
    for _, file, body in BLOCK.findall(page.read_text("utf-8")):
        if file:
            assert body == text(file), f"{page.name}: {file}"


def test_every_file_of_a_platform_is_on_its_page() -> None:
    repeated = {
        file for page in PAGES for _, file, _ in BLOCK.findall(page.read_text("utf-8")) if file
    }
    assert {"Dockerfile", "Procfile", "fly.toml", "railway.json"} <= repeated


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_setting_route_command_and_link_is_there(page: Path) -> None:
    told = page.read_text("utf-8")
    assert (
        set(reading.variables(told)) - {"PILLARS_PORT"} <= VARIABLES
    )  # a Service's, as the page says
    assert set(re.findall(r"/api/health[/a-z]*", told)) <= set(ROUTES)
    assert set(re.findall(r"(?<![\w/])/metrics\b", told)) <= {METRICS}
    for command in COMMAND.findall(told):
        said(["app", *command.split()])
    for link in re.findall(r"\]\(([^)#:]+)\)", told):
        assert (FOLDER / link).exists(), link
    for script in re.findall(r"\bdeploy/[a-z]+\.sh\b", told):
        assert (ROOT / script).exists(), script
    makes = re.findall(r"\bmake ([a-z]+)\b", told)
    assert {f"{target}:" for target in makes} <= set(
        re.findall(r"^[a-z]+:", text("Makefile"), re.MULTILINE)
    )


def test_the_index_leads_to_every_page() -> None:
    linked = set(re.findall(r"\]\(([a-z]+\.md)\)", text("docs/deploy/index.md")))
    assert linked == {page.name for page in PAGES} - {"index.md"}


def test_compose_migrates_first_and_waits_for_the_drain() -> None:
    services = yaml.safe_load(block("docker.md", "yaml"))["services"]
    ours = {name: one for name, one in services.items() if name != "postgres"}
    assert {name: said(one["command"]).words for name, one in ours.items()} == {
        name: [name] for name in ("migrate", "web", "worker", "cron")
    }
    for name, one in ours.items():
        needed = "postgres" if name == "migrate" else "migrate"
        assert list(one["depends_on"]) == [needed]
        assert duration(one["stop_grace_period"]) >= values.DRAIN + LEEWAY
        assert one["restart"] == ("no" if name == "migrate" else "always")
    assert services["web"]["ports"] == [f"{values.PORT}:{values.PORT}"]


def manifests() -> dict[str, Any]:
    found = yaml.safe_load_all(block("kubernetes.md", "yaml"))
    return {one["metadata"]["name"]: one for one in found}


def test_kubernetes_runs_what_there_is() -> None:
    pods = {name: one["spec"]["template"]["spec"] for name, one in manifests().items()}
    told = [said(pod["containers"][0]["args"]).words for pod in pods.values()]
    assert told == [["migrate"], ["web"], ["worker"]]
    assert not [name for name, pod in pods.items() if pod["enableServiceLinks"]]


@pytest.mark.parametrize("role", ["web", "worker"])
def test_a_pod_is_asked_where_it_serves_and_its_liveness_needs_no_database(role: str) -> None:
    pod = manifests()[role]["spec"]["template"]["spec"]
    [container] = pod["containers"]
    environ = {one["name"]: one["value"] for one in container.get("env", [])}
    port = values.PORT if role == "web" else int(environ["PILLARS_HEALTH_PORT"])
    assert container["ports"] == [{"containerPort": port}]
    asked = {
        name: container[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")
    }
    assert {one["port"] for one in asked.values()} == {port}
    assert asked["startup"]["path"] == asked["liveness"]["path"] == "/api/health/live"
    assert asked["readiness"]["path"] == "/api/health/ready"
    pause = (
        container.get("lifecycle", {})
        .get("preStop", {})
        .get("exec", {})
        .get("command", ["", "0"])[1]
    )
    grace = timedelta(seconds=pod["terminationGracePeriodSeconds"] - int(pause))
    assert grace >= values.DRAIN + LEEWAY


def test_heroku_runs_what_the_procfile_says() -> None:
    told = yaml.safe_load(block("heroku.md", "yaml"))
    lines = {"release": told["release"]["command"][0]}
    for name, one in told["run"].items():
        lines[name] = one if isinstance(one, str) else one["command"][0]
    assert lines == reading.processes(text("Procfile"))


def test_the_connections_are_counted_as_the_doctor_counts_them() -> None:
    from pillars.cli.doctor.server import OWN_CONNECTIONS
    from pillars.store.pool import RUNTIME_CONNECTIONS

    rows = re.findall(
        r"^\| (web|worker|cron) \| (\d+) \| (\d+) \|[^|]*\| (\d+) \|$",
        text("docs/deploy/index.md"),
        re.MULTILINE,
    )
    pool, runtime = values.POOL, RUNTIME_CONNECTIONS
    assert [(role, *map(int, counts)) for role, *counts in rows] == [
        (role, pool, runtime, pool + runtime + own) for role, own in OWN_CONNECTIONS.items()
    ]
    both = 2 * sum(int(row[-1]) for row in rows)
    assert f"Two each of web, worker and cron are {both} " in text("docs/deploy/index.md")
