"""Procfile, Dockerfile, fly.toml, railway.json and the systemd units say what the code says."""

import json
import os
import shlex
import shutil
import subprocess
import sys
import tomllib
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from deploy import reading
from deploy.reading import DROP_IN, LEEWAY, ROOT, SYSTEMD, VARIABLES, Stage, said, text
from pillars.durations import duration
from pillars.service.health import METRICS, ROUTES
from pillars.settings import load, values

FILES = [
    "Procfile",
    "Procfile.dev",
    "Dockerfile",
    "fly.toml",
    "railway.json",
    "deploy/build.sh",
    "deploy/packed.py",
    *(str(path.relative_to(ROOT)) for path in SYSTEMD.rglob("pillars*.*") if path.is_file()),
]
PATHS = {*ROUTES, METRICS}
UNITS = sorted(SYSTEMD.glob("*.service"))
SECRET = ("DATABASE_URL", "DATABASE_DIRECT_URL", "PILLARS_TOKEN", "PILLARS_VIEW_TOKEN")


def fly() -> dict[str, Any]:
    return tomllib.loads(text("fly.toml"))


@pytest.mark.parametrize("file", FILES)
def test_every_setting_that_is_named_is_one(file: str) -> None:
    assert set(reading.variables(text(file))) <= VARIABLES


@pytest.mark.parametrize("file", FILES)
def test_no_secret_stands_in_a_file(file: str) -> None:
    assert not [name for name in SECRET if f"{name}=" in text(file) or f'"{name}"' in text(file)]


# --- Procfile -----------------------------------------------------------------------------------------------


def test_the_procfile_migrates_at_release_and_runs_the_three_pillars() -> None:
    told = {name: said(line).words for name, line in reading.processes(text("Procfile")).items()}
    assert told == {
        "release": ["migrate"],
        "web": ["web"],
        "worker": ["worker"],
        "cron": ["cron"],
    }


def test_the_procfile_for_dev_runs_the_three_pillars_in_dev() -> None:
    told = {n: said(line) for n, line in reading.processes(text("Procfile.dev")).items()}
    assert {name: one.words for name, one in told.items()} == {
        role: [role] for role in ("web", "worker", "cron")
    }
    assert {one.environ["PILLARS_ENV"] for one in told.values()} == {"dev"}


# --- Dockerfile ---------------------------------------------------------------------------------------------


@pytest.fixture
def image() -> list[Stage]:
    return reading.stages(text("Dockerfile"))


def test_what_builds_is_not_what_runs(image: list[Stage]) -> None:
    build, final = image
    assert build.image == final.image
    assert final.image.startswith("python:3.")
    assert final.image.endswith("-slim")
    assert final.arguments("COPY") == [f"--from={build.name} /app /app"]
    assert not final.arguments("RUN")
    assert not final.arguments("ADD")


def test_the_image_is_built_by_build_sh_alone(image: list[Stage]) -> None:
    installed, built = map(json.loads, image[0].arguments("RUN"))
    assert installed[:2] == ["pip", "install"]
    assert installed[-1] == "uv"
    assert built == ["sh", "/source/deploy/build.sh", "/app"]
    assert "--require-hashes --requirements requirements.lock" in text("deploy/build.sh")


def test_it_runs_as_a_numeric_user_who_is_not_root_and_without_a_shell(image: list[Stage]) -> None:
    final = image[-1]
    [user], [command] = final.arguments("USER"), final.arguments("CMD")
    assert all(int(part) > 0 for part in user.split(":"))
    assert said(json.loads(command)).words == ["web"]
    assert not final.arguments("ENTRYPOINT")  # or it would stand before what a platform starts
    order = [instruction for instruction, _ in final.steps]
    assert order.index("USER") > order.index("COPY")
    assert order.index("USER") < order.index("CMD")


def test_it_is_production_and_knows_its_application_wherever_it_is_started(
    image: list[Stage],
) -> None:
    environ = image[-1].environ
    assert environ["PILLARS_ENV"] == "prod"
    assert environ["PILLARS_PROJECT"] == "/app/project"
    assert environ["PATH"].split(":")[0] == "/app/bin"
    assert set(environ) - {"PATH"} <= VARIABLES
    assert [told for stage in image for told in stage.arguments("ARG")] == ["GIT_COMMIT_SHA="]
    assert image[-1].arguments("EXPOSE") == [str(values.PORT)]


def test_the_context_holds_what_is_built_and_nothing_else() -> None:
    first, *rest = [line for line in text(".dockerignore").splitlines() if line[0] != "#"]
    assert first == "*"
    shown = [line.removeprefix("!") for line in rest if line.startswith("!")]
    assert [line for line in rest if line[0] != "!"] == ["**/.env*", "**/__pycache__"]
    assert rest[-2:] == ["**/.env*", "**/__pycache__"], "the last that fits decides"
    needed = {*(path.split("/")[0] for path in reading.application()), "pillars", "bench", "sql"}
    project = tomllib.loads(text("pyproject.toml"))["project"]
    needed |= {"requirements.lock", "deploy/build.sh", project["readme"], *project["license-files"]}
    assert set(shown) == needed


def test_the_application_is_all_that_its_processes_import() -> None:
    settings = load(environ={}, project=ROOT)
    assert settings.web is not None
    packages = {settings.jobs, settings.crons, settings.web.partition(":")[0]}
    read = {package.partition(".")[0] for package in packages}
    read |= {str(settings.sql.relative_to(ROOT)), "pyproject.toml", "fly.toml"}
    assert set(reading.application()) == read


# --- Fly ----------------------------------------------------------------------------------------------------


def test_fly_runs_the_three_pillars_and_migrates_before() -> None:
    told = {name: said(line) for name, line in fly()["processes"].items()}
    assert {name: one.words for name, one in told.items()} == {
        role: [role] for role in ("web", "worker", "cron")
    }
    assert said(fly()["deploy"]["release_command"]).words == ["migrate"]
    open_ = [name for name, one in told.items() if one.environ.get("PILLARS_METRICS") == "open"]
    assert open_ == fly()["metrics"][0]["processes"]
    assert all(set(one.environ) <= VARIABLES for one in told.values())


def test_fly_waits_for_the_drain() -> None:
    told = fly()
    settings = load(environ={"FLY_APP_NAME": "shop", **told["env"]}, project=ROOT / "sql")
    assert settings.env == "prod"
    assert told["kill_signal"] == "SIGTERM"
    assert timedelta(seconds=told["kill_timeout"]) >= settings.drain + LEEWAY
    assert told["kill_timeout"] <= 300  # fly.io's most


def test_fly_asks_the_ports_that_are_served() -> None:
    told = fly()
    settings = load(environ=told["env"], project=ROOT / "sql")
    service, background, [metrics] = (
        told["http_service"],
        told["checks"]["background"],
        told["metrics"],
    )
    assert (service["processes"], service["internal_port"]) == (["web"], settings.port)
    assert background["processes"] == metrics["processes"] == ["worker", "cron"]
    assert background["port"] == metrics["port"] == settings.health_port
    assert settings.health_host == "0.0.0.0"
    assert {service["checks"][0]["path"], background["path"]} == {"/api/health/ready"} <= PATHS
    assert metrics["path"] in PATHS
    for check in (service["checks"][0], background):
        assert duration(check["timeout"]) < duration(check["interval"])


# --- Railway ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("service", ["web", "worker", "cron"])
def test_railway_starts_each_service_by_its_name_and_leaves_no_shell_behind(
    service: str, tmp_path: Path
) -> None:
    told = json.loads(text("railway.json"))
    fake = tmp_path / "app"
    fake.write_text('#!/bin/sh\necho "$$ $PILLARS_ENV $PILLARS_HEALTH_PORT $*"\n')
    fake.chmod(0o755)
    environ = {
        "PATH": f"{tmp_path}:/usr/bin:/bin", "PORT": "8123", "RAILWAY_SERVICE_NAME": service,
    }  # fmt: skip
    words = shlex.split(told["deploy"]["startCommand"])
    process = subprocess.Popen(words, env=environ, stdout=subprocess.PIPE, text=True)
    output, _ = process.communicate(timeout=20)
    assert output == f"{process.pid} prod 8123 {service}\n"
    said(["app", service])


def test_railway_migrates_asks_for_readiness_and_waits_for_the_drain() -> None:
    told = json.loads(text("railway.json"))
    assert told["build"] == {"builder": "DOCKERFILE"}
    deploy = told["deploy"]
    assert [said(line).words for line in deploy["preDeployCommand"]] == [["migrate"]]
    assert deploy["healthcheckPath"] in PATHS
    assert type(deploy["drainingSeconds"]) is int  # a text is refused
    assert timedelta(seconds=deploy["drainingSeconds"]) >= values.DRAIN + LEEWAY
    assert deploy["restartPolicyType"] == "ALWAYS"


# --- systemd ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_a_unit_runs_a_command_of_ours_in_production(path: Path) -> None:
    unit = reading.unit(DROP_IN, path)
    service = unit["Service"]
    role = path.stem.removeprefix("pillars-").removesuffix("@")
    assert said(service["ExecStart"]).words == [role]
    environ = dict(word.split("=", 1) for word in service["Environment"].split())
    assert environ == {"PILLARS_ENV": "prod", "PILLARS_PROJECT": service["WorkingDirectory"]}
    if role == "migrate":
        assert service["Type"] == "oneshot"
        return
    assert "Type" not in service  # nobody notifies
    assert service["KillSignal"] == "SIGTERM"
    assert duration(f"{service['TimeoutStopSec']}s") >= values.DRAIN + LEEWAY
    assert (service["Restart"], unit["Unit"]["StartLimitIntervalSec"]) == ("always", "0")
    assert service["RestartPreventExitStatus"] == "2"  # 75 comes back, a wrong setting does not
    assert unit["Install"]["WantedBy"] == unit["Unit"]["PartOf"] == "pillars.target"


@pytest.mark.needs("systemd-analyze")
def test_systemd_finds_nothing_wrong(tmp_path: Path) -> None:
    shutil.copytree(SYSTEMD, tmp_path, dirs_exist_ok=True)
    for path in [*tmp_path.glob("*.service"), tmp_path / DROP_IN.relative_to(SYSTEMD)]:
        path.write_text(path.read_text().replace("/srv/app/bin/app", sys.executable))
    names = [
        path.name.replace("@.", "@1.")
        for path in sorted(tmp_path.glob("pillars*.*"))
        if path.is_file()
    ]
    verified = subprocess.run(
        ["systemd-analyze", "verify", *(str(tmp_path / name) for name in names)],
        env={"PATH": os.environ["PATH"], "SYSTEMD_UNIT_PATH": f"{tmp_path}:"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (verified.returncode, verified.stdout + verified.stderr) == (0, "")
