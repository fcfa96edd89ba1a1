"""Settings: where each comes from, what is refused, what follows from them."""

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import fields
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from pillars.errors import ConfigurationError
from pillars.settings import Settings, load as load_settings, loading, masked_url, redaction, specs

SECRET = "0123456789abcdefghij"


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


def load(project: Path, environ: Mapping[str, str] | None = None, **flags: object) -> Settings:
    command = flags.pop("command", None)
    assert command is None or isinstance(command, str)
    return load_settings(flags=flags, environ=environ or {}, project=project, command=command)


def write(project: Path, name: str, text: str) -> None:
    (project / name).write_text(text, encoding="utf-8")


def test_the_defaults(tmp_path: Path) -> None:
    settings = load(tmp_path)
    found = {field.name: getattr(settings, field.name) for field in fields(settings)}
    assert found == {
        "env": "dev",
        "database_url": None,
        "database_direct_url": None,
        "host": "127.0.0.1",
        "port": 8000,
        "log_level": "info",
        "log_format": "auto",
        "redact": redaction.USUAL,
        "git_commit_sha": None,
        "queues": (),
        "processes": 1,
        "concurrency": 100,
        "threads": 8,
        "children": 2,
        "child_memory": None,
        "max_memory": None,
        "drain": seconds(4),
        "grace": seconds(10),
        "lock": seconds(30),
        "heartbeat": seconds(10),
        "poll": seconds(1),
        "poll_max": seconds(30),
        "keep_completed": timedelta(days=7),
        "keep_failed": timedelta(days=30),
        "keep_events": timedelta(days=7),
        "token": None,
        "view_token": None,
        "metrics": "token",
        "prefix": "",
        "health_host": "127.0.0.1",
        "health_port": None,
        "pool": 10,
        "rls_user": "pillars.user_id",
        "rls_user_role": None,
        "rls_system_role": None,
        "web": None,
        "jobs": "jobs",
        "crons": "crons",
        "sql": tmp_path / "sql/app",
        "deployment": tmp_path.name.replace("[", "-").replace("]", "-"),
        "root": tmp_path,
        "postgres_bin": None,
        "loop": "uvloop",
        "project": tmp_path,
        "sources": dict.fromkeys(
            ["project", "env", *(spec.name for spec in specs.SPECS)], "default"
        ),
        "belonging": {},
        "dotenv": {},
        "warnings": (),
    }


def test_prod_listens_to_all_and_drains_longer(tmp_path: Path) -> None:
    settings = load(tmp_path, {"PILLARS_ENV": "prod"})
    assert (settings.host, settings.health_host, settings.drain) == (
        "0.0.0.0",
        "0.0.0.0",
        seconds(25),
    )


def test_the_process_is_asked_where_nothing_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PILLARS_THREADS", "3")
    settings = load_settings()
    assert (settings.project, settings.threads) == (tmp_path, 3)


def test_the_project_is_named_by_the_environment_and_its_files_are_read_there(
    tmp_path: Path,
) -> None:
    write(tmp_path, "pyproject.toml", "[tool.pillars]\nthreads = 2")
    write(tmp_path, ".env", "PILLARS_POOL=3")
    settings = load_settings(environ={"PILLARS_PROJECT": str(tmp_path)})
    assert (settings.project, settings.threads, settings.pool) == (tmp_path, 2, 3)
    assert settings.sql == tmp_path / "sql/app"
    assert settings.sources["project"] == "PILLARS_PROJECT"
    assert settings.warnings == ()


def test_a_project_that_is_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="PILLARS_PROJECT: expected a folder, got"):
        load_settings(environ={"PILLARS_PROJECT": str(tmp_path / "none")})


def test_a_dotenv_cannot_say_where_it_is_itself(tmp_path: Path) -> None:
    write(tmp_path, ".env", f"PILLARS_PROJECT={tmp_path}")
    assert load(tmp_path).warnings == (
        ".env PILLARS_PROJECT has no effect: it is decided before .env is read",
    )


# --- order --------------------------------------------------------------------------------------------------


def test_a_flag_beats_the_environment_beats_dotenv_local_beats_dotenv_beats_the_file(
    tmp_path: Path,
) -> None:
    write(
        tmp_path,
        "pyproject.toml",
        "[tool.pillars]\nthreads = 1\npool = 1\nchildren = 1\nconcurrency = 1",
    )
    write(tmp_path, ".env", "PILLARS_THREADS=2\nPILLARS_POOL=2\nPILLARS_CHILDREN=2")
    write(tmp_path, ".env.local", "PILLARS_THREADS=3\nPILLARS_POOL=3")
    settings = load(
        tmp_path, {"PILLARS_THREADS": "4", "PILLARS_QUEUES": "a"}, queues="b", port=None
    )
    assert [settings.threads, settings.pool, settings.children, settings.concurrency] == [
        4,
        3,
        2,
        1,
    ]
    assert settings.queues == (("b", None),)
    expected = {
        "queues": "flag --queues",
        "threads": "PILLARS_THREADS",
        "pool": ".env.local PILLARS_POOL",
        "children": ".env PILLARS_CHILDREN",
        "concurrency": "[tool.pillars] concurrency",
        "port": "default",
    }
    assert {name: settings.sources[name] for name in expected} == expected


def test_an_empty_variable_counts_as_not_set(tmp_path: Path) -> None:
    assert load(tmp_path, {"PORT": "", "PILLARS_TOKEN": "", "DATABASE_URL": ""}).port == 8000


def test_dotenv_is_handed_on_and_the_environment_stays(tmp_path: Path) -> None:
    write(tmp_path, ".env", "STRIPE_KEY=a\nOTHER=b")
    write(tmp_path, ".env.local", "STRIPE_KEY=c")
    environ: dict[str, str] = {}
    settings = load(tmp_path, environ)
    assert settings.dotenv == {"STRIPE_KEY": "c", "OTHER": "b"}
    assert environ == {}


def test_prod_reads_no_dotenv_and_says_so(tmp_path: Path) -> None:
    write(tmp_path, ".env", "PILLARS_POOL=2\nnot a line")
    settings = load(tmp_path, {"PILLARS_ENV": "prod"})
    assert (settings.pool, settings.dotenv) == (10, {})
    assert settings.warnings == (".env not read: only dev does, PILLARS_ENV=dev",)


def test_a_dotenv_that_names_prod_changes_nothing_and_is_told(tmp_path: Path) -> None:
    write(tmp_path, ".env", "PILLARS_ENV=prod")
    settings = load(tmp_path)
    assert settings.env == "dev"
    assert settings.warnings == (
        ".env PILLARS_ENV has no effect: it is decided before .env is read",
    )


def test_a_dotenv_with_the_database_of_dev_stays_dev(tmp_path: Path) -> None:
    write(tmp_path, ".env", "DATABASE_URL=postgres://localhost/app")
    settings = load(tmp_path)
    assert (settings.env, settings.database_url) == ("dev", "postgres://localhost/app")


# --- dev or prod --------------------------------------------------------------------------------------------

URL = {"DATABASE_URL": "postgres://h/db"}
ENVS: dict[str, tuple[dict[str, str], dict[str, Any], str, str]] = {
    "nothing known": ({}, {}, "dev", "default"),
    "a database": (URL, {}, "prod", "default where DATABASE_URL is set"),
    "a database by flag": (
        {},
        {"database_url": "postgres://h/db"},
        "prod",
        "default where flag --database-url is set",
    ),
    "a platform": ({"DYNO": "web.1"}, {}, "prod", "default where DYNO is set"),
    "told, with a database": (URL | {"PILLARS_ENV": "dev"}, {}, "dev", "PILLARS_ENV"),
    "told, on a platform": ({"FLY_APP_NAME": "a", "PILLARS_ENV": "dev"}, {}, "dev", "PILLARS_ENV"),
    "told by flag": ({"PILLARS_ENV": "dev"}, {"env": "prod"}, "prod", "flag --env"),
    "app dev": ({}, {"command": "dev"}, "dev", "app dev"),
    "app dev with a database": (URL, {"command": "dev"}, "dev", "app dev"),
    "app dev on a platform": ({"DYNO": "web.1"}, {"command": "dev"}, "dev", "app dev"),
    "app web": (URL, {"command": "web"}, "prod", "default where DATABASE_URL is set"),
}


@pytest.mark.parametrize("case", ENVS)
def test_dev_or_prod_is_decided_by_what_is_known(tmp_path: Path, case: str) -> None:
    environ, flags, env, source = ENVS[case]
    settings = load(tmp_path, environ, **flags)
    assert (settings.env, settings.sources["env"]) == (env, source)


@pytest.mark.parametrize("name", loading.PLATFORMS)
def test_every_platform_is_prod(tmp_path: Path, name: str) -> None:
    assert load(tmp_path, {name: "x"}).env == "prod"


def test_app_dev_is_dev_whatever_the_environment_says_and_tells(tmp_path: Path) -> None:
    settings = load(tmp_path, {"PILLARS_ENV": "prod"}, command="dev")
    assert settings.env == "dev"
    assert settings.warnings == ("PILLARS_ENV says prod, but `app dev` is always dev",)


def test_on_fly_the_drain_is_short_unless_one_was_told(tmp_path: Path) -> None:
    assert load(tmp_path, {"FLY_APP_NAME": "a"}).drain == seconds(4)
    assert load(tmp_path, {"FLY_APP_NAME": "a", "PILLARS_DRAIN": "5m"}).drain == timedelta(
        minutes=5
    )


# --- what is read -------------------------------------------------------------------------------------------

READ: dict[str, tuple[str, Any, object]] = {
    "slots and none": ("queues", "mail:5, default", (("mail", 5), ("default", None))),
    "a colon within a name": ("queues", "a:b:,c:d:7", (("a:b", None), ("c:d", 7))),
    "a list of queues": ("queues", ["mail:5", "default"], (("mail", 5), ("default", None))),
    "a table of queues": ("queues", {"mail": 5}, (("mail", 5),)),
    "pairs": ("queues", (("mail", 5), ("default", None)), (("mail", 5), ("default", None))),
    "no queues": ("queues", "", ()),
    "a number with a blank": ("port", " 80 ", 80),
    "any free port": ("port", "0", 0),
    "seconds": ("drain", "30", seconds(30)),
    "words": ("drain", "1m30s", seconds(90)),
    "no drain": ("drain", 0, seconds(0)),
    "a long lock": ("lock", "5m", timedelta(minutes=5)),
    "a long poll": ("poll", "50s", seconds(50)),
    "a day of history": ("keep_completed", "1d", timedelta(days=1)),
    "ten years of history": ("keep_failed", "3650d", timedelta(days=3650)),
    "any case": ("log_level", "WARNING", "warning"),
    "a prefix": ("prefix", "/ops/jobs/", "/ops/jobs"),
    "the root": ("prefix", "/", ""),
    "an app": ("web", "my.module:create.app", "my.module:create.app"),
    "a package": ("jobs", "my.jobs", "my.jobs"),
    "an absolute path": ("sql", "/srv/sql", Path("/srv/sql")),
    "a path": ("root", Path("/srv"), Path("/srv")),
    "a home": ("postgres_bin", "~", Path.home()),
    "SQLAlchemy's URL": ("database_url", "postgresql+asyncpg://u@h/db", "postgresql://u@h/db"),
    "a socket": ("database_url", "postgresql:///db?host=/tmp", "postgresql:///db?host=/tmp"),
    "asyncio": ("loop", "asyncio", "asyncio"),
    "a deployment": ("deployment", "shop/eu", "shop/eu"),
}


@pytest.mark.parametrize("case", READ)
def test_a_setting_is_read(tmp_path: Path, case: str) -> None:
    name, given_as, expected = READ[case]
    assert getattr(load(tmp_path, **{name: given_as}), name) == expected


def test_a_poll_longer_than_its_longest_makes_that_longer(tmp_path: Path) -> None:
    assert load(tmp_path, poll="50s").poll_max == seconds(50)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("my-shop", "my-shop"), ("My Shop_é", "My-Shop_-"), ("...", "app"), ("x" * 200, "x" * 100)],
)
def test_the_deployment_is_the_projects_name_made_valid(
    tmp_path: Path, name: str, expected: str
) -> None:
    write(tmp_path, "pyproject.toml", f'[project]\nname = "{name}"')
    assert load(tmp_path).deployment == expected


def test_without_a_project_the_deployment_is_the_folders_name(tmp_path: Path) -> None:
    folder = tmp_path / "my shop"
    folder.mkdir()
    assert load(folder).deployment == "my-shop"


# --- what is refused ----------------------------------------------------------------------------------------

REFUSED: dict[str, tuple[dict[str, str], str]] = {
    "letters": (
        {"PILLARS_CONCURRENCY": "abc"},
        'PILLARS_CONCURRENCY: expected a whole number from 1 to 10000, got "abc"',
    ),
    "none at all": (
        {"PILLARS_CONCURRENCY": "0"},
        'PILLARS_CONCURRENCY: expected a whole number from 1 to 10000, got "0"',
    ),
    "a million": (
        {"PILLARS_CONCURRENCY": "1000000"},
        'PILLARS_CONCURRENCY: expected a whole number from 1 to 10000, got "1000000"',
    ),
    "no whole number": (
        {"PORT": "80.5"},
        'PORT: expected a whole number from 0 to 65535, got "80.5"',
    ),
    "an underscore": ({"PORT": "8_0"}, 'PORT: expected a whole number from 0 to 65535, got "8_0"'),
    "no duration": (
        {"PILLARS_POLL": "5 parsecs"},
        "PILLARS_POLL: expected seconds, a timedelta, or words",
    ),
    "a short lock": ({"PILLARS_LOCK": "1s"}, 'PILLARS_LOCK: expected from 2s to 1h, got "1s"'),
    "a heartbeat of half the lock": (
        {"PILLARS_HEARTBEAT": "15s"},
        (
            "heartbeat (PILLARS_HEARTBEAT): 2 x heartbeat must be less than the lock, "
            "or one late beat loses it; got 2 x 15s >= 30s"
        ),
    ),
    "half a day of history": (
        {"PILLARS_KEEP_COMPLETED": "12h"},
        'PILLARS_KEEP_COMPLETED: expected from 1d to 3650d, got "12h"',
    ),
    "a history for ever": (
        {"PILLARS_KEEP_FAILED": "3651d"},
        "PILLARS_KEEP_FAILED: expected a duration from 0s to 3650d, got 3651d",
    ),
    "a poll over its longest": (
        {"PILLARS_POLL": "5s", "PILLARS_POLL_MAX": "2s"},
        "poll_max (PILLARS_POLL_MAX): must be at least poll, got 2s < 5s",
    ),
    "no level": (
        {"LOG_LEVEL": "loud"},
        'LOG_LEVEL: expected debug or info or warning or error or critical, got "loud"',
    ),
    "no env": ({"PILLARS_ENV": "staging"}, 'PILLARS_ENV: expected dev or prod, got "staging"'),
    "a relative prefix": (
        {"PILLARS_PREFIX": "ops"},
        'PILLARS_PREFIX: expected a path such as "/ops", got "ops"',
    ),
    "dots in a prefix": ({"PILLARS_PREFIX": "/a//b"}, "PILLARS_PREFIX: expected a path"),
    "no app": (
        {"PILLARS_WEB": "main"},
        'PILLARS_WEB: expected an app such as "module:app", got "main"',
    ),
    "a file as a package": ({"PILLARS_JOBS": "./jobs"}, "PILLARS_JOBS: expected a package"),
    "a queue's name": (
        {"PILLARS_QUEUES": "a b"},
        "PILLARS_QUEUES: expected a queue's name of the form",
    ),
    "a queue's slots": (
        {"PILLARS_QUEUES": "mail:0"},
        'PILLARS_QUEUES: slots of mail: expected a whole number from 1 to 10000, got "0"',
    ),
    "a queue that may be a slip": (
        {"PILLARS_QUEUES": "mail:x"},
        (
            'PILLARS_QUEUES: "mail:x" can be read in two ways: write "mail:x:" for a queue of that name, '
            'or "mail:5" for 5 slots of the queue "mail"'
        ),
    ),
    "a queue twice": ({"PILLARS_QUEUES": "a,a:5"}, 'PILLARS_QUEUES: the queue "a" is there twice'),
    "a line end": ({"HOST": "a\nb"}, 'HOST: expected a text of one line, got "a\\nb"'),
    "a deployment": (
        {"PILLARS_DEPLOYMENT": "a b"},
        "PILLARS_DEPLOYMENT: expected a name of the form",
    ),
    "a blank in a token": (
        {"PILLARS_TOKEN": "hunter2 x"},
        "PILLARS_TOKEN: expected printable ASCII",
    ),
    "one token for both": (
        {"PILLARS_TOKEN": "hunter2", "PILLARS_VIEW_TOKEN": "hunter2"},
        "PILLARS_VIEW_TOKEN: must differ from PILLARS_TOKEN",
    ),
    "another database": (
        {"DATABASE_URL": "mysql://u:hunter2@h/db"},
        'DATABASE_URL: expected postgresql://user:password@host/database, got a URL of "mysql"',
    ),
    "a URL on two lines": (
        {"DATABASE_URL": "postgres://u:hunter2\n@h/db"},
        "DATABASE_URL: expected a URL on one line, got line ends or control characters",
    ),
    "a password before a scheme": (
        {"DATABASE_URL": "u:hunter2@h://db"},
        "DATABASE_URL: expected postgresql://user:password@host/database, got a URL of another scheme",
    ),
    "no URL": (
        {"DATABASE_URL": "host=h password=hunter2"},
        "DATABASE_URL: expected postgresql://user:password@host/database, got a text without ://",
    ),
    "a password that was not escaped": (
        {"DATABASE_URL": "postgres://u:hunter2/#x@h/db"},
        "DATABASE_URL: host and port cannot be told apart in postgres://u:***@h/db; escape",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_wrong_setting_is_refused_in_one_line_without_secrets(tmp_path: Path, case: str) -> None:
    environ, message = REFUSED[case]
    with pytest.raises(ConfigurationError) as refusal:
        load(tmp_path, environ)
    assert str(refusal.value).startswith(message)
    assert "\n" not in str(refusal.value)
    assert "hunter2" not in str(refusal.value)


WRONG_FLAGS: dict[str, tuple[dict[str, Any], str]] = {
    "a flag's name": (
        {"concurency": 1},
        'no setting is named "concurency"; did you mean concurrency?',
    ),
    "a bool": (
        {"threads": True},
        "flag --threads: expected a whole number from 0 to 1000, got True",
    ),
    "a number as queues": ({"queues": 5}, "flag --queues: expected queues such as"),
    "an object as a queue": (
        {"queues": [object()]},
        "flag --queues: expected a text of one line, got object",
    ),
    "a number as a queue": (
        {"queues": [(5, 5)]},
        "flag --queues: expected a queue's name of the form",
    ),
    "an object": ({"poll_max": object()}, "flag --poll-max: expected seconds"),
    "no path": ({"root": ""}, 'flag --root: expected a path, got ""'),
    "a long text": ({"host": "x" * 99 + "\n"}, "flag --host: expected a text of one line, got"),
}


@pytest.mark.parametrize("case", WRONG_FLAGS)
def test_a_wrong_flag_is_refused(tmp_path: Path, case: str) -> None:
    flags, message = WRONG_FLAGS[case]
    with pytest.raises(ConfigurationError) as refusal:
        load(tmp_path, **flags)
    assert str(refusal.value).startswith(message)


WRONG_FILES: dict[str, tuple[str, bytes, str]] = {
    "no TOML": ("pyproject.toml", b"[tool", "pyproject.toml: not TOML: "),
    "no UTF-8": ("pyproject.toml", b"a = '\xff'", "pyproject.toml: not UTF-8 at byte 5"),
    "no table": (
        "pyproject.toml",
        b"[tool]\npillars = 1",
        "pyproject.toml: [tool.pillars] is no table",
    ),
    "no project": ("pyproject.toml", b"project = 1", "pyproject.toml: [project] is no table"),
    "a secret": (
        "pyproject.toml",
        b"[tool.pillars]\ntoken = 'hunter2'",
        "pyproject.toml: [tool.pillars] token is a secret, and the file is committed: set PILLARS_TOKEN",
    ),
    "a wrong value": (
        "pyproject.toml",
        b"[tool.pillars]\npool = 'many'",
        '[tool.pillars] pool: expected a whole number from 1 to 1000, got "many"',
    ),
    "a broken .env": (".env", b"A=1\nhunter2", ".env line 2: expected KEY=value"),
    "a wrong .env": (
        ".env.local",
        b"PILLARS_POOL=many",
        ".env.local PILLARS_POOL: expected a whole number",
    ),
}


@pytest.mark.parametrize("case", WRONG_FILES)
def test_a_wrong_file_is_refused(tmp_path: Path, case: str) -> None:
    name, content, message = WRONG_FILES[case]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigurationError) as refusal:
        load(tmp_path)
    assert str(refusal.value).startswith(message)
    assert "hunter2" not in str(refusal.value)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".env").mkdir()
    with pytest.raises(ConfigurationError, match=r"\.env: cannot be read: Is a directory"):
        load(tmp_path)


def test_uvloop_is_the_default_where_it_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(specs, "find_spec", lambda _: None)
    assert load(tmp_path).loop == "asyncio"
    with pytest.raises(ConfigurationError, match="flag --loop: uvloop is not installed"):
        load(tmp_path, loop="uvloop")


# --- what is doubtful ---------------------------------------------------------------------------------------


def test_an_unknown_name_is_told_with_the_nearest(tmp_path: Path) -> None:
    write(tmp_path, "pyproject.toml", "[tool.pillars]\nconcurency = 1")
    write(tmp_path, ".env", "PILLARS_POLLMAX=1")
    settings = load(
        tmp_path,
        {
            "PILLARS_CONCURENCY": "1",
            "PILLARS_XYZZY_FROBNICATE": "1",
            "PILLARSX": "1",
            "PILLARS_TEST_ALL": "1",
            "PILLARS_POL": "1",
        },
    )
    assert settings.warnings == (
        "pyproject.toml: [tool.pillars] concurency is no setting; did you mean concurrency?",
        "PILLARS_CONCURENCY is no setting; did you mean PILLARS_CONCURRENCY?",
        "PILLARS_POL is no setting; did you mean PILLARS_POLL or PILLARS_POOL?",
        "PILLARS_POLLMAX is no setting; did you mean PILLARS_POLL_MAX?",
        "PILLARS_XYZZY_FROBNICATE is no setting",
    )


def test_a_short_lock_is_doubtful_in_prod_alone(tmp_path: Path) -> None:
    assert load(tmp_path, lock="5s").warnings == ()
    (warning,) = load(tmp_path, lock="14s", env="prod").warnings
    assert warning.startswith("flag --lock: a lock of 14s is short for prod")
    assert load(tmp_path, lock="15s", env="prod").warnings == ()


def test_a_short_token_is_doubtful_in_prod_and_not_shown(tmp_path: Path) -> None:
    (warning,) = load(tmp_path, token="hunter2", view_token=SECRET, env="prod").warnings
    assert warning.startswith("flag --token: shorter than 16 characters")
    assert "hunter2" not in warning


# --- what follows -------------------------------------------------------------------------------------------


def test_only_the_length_of_the_lock_is_free(tmp_path: Path) -> None:
    settings = load(tmp_path)
    assert settings.heartbeat == seconds(10)
    assert settings.trust == seconds(25)
    assert settings.fence_grace == seconds(4)
    assert settings.sweep == seconds(5)
    assert settings.sweep_standing == seconds(15)
    assert settings.leader_read == seconds(5)
    assert settings.leader_idle == seconds(15)
    assert settings.loop_stuck == seconds(60)
    assert settings.loop_stuck_without_deadline == seconds(300)


@given(lock=st.floats(min_value=2, max_value=3600))
def test_with_any_lock_the_old_worker_is_gone_before_the_lock_is(lock: float) -> None:
    settings = load(Path("/nonexistent"), lock=lock)
    assert settings.heartbeat * 2 < settings.trust
    assert settings.trust + settings.fence_grace + settings.watch < settings.lock
    assert settings.sweep < settings.sweep_standing


# --- secrets ------------------------------------------------------------------------------------------------


def test_secrets_are_shown_nowhere(tmp_path: Path) -> None:
    write(tmp_path, ".env", "OTHER=hunter2")
    environ = {
        "DATABASE_URL": "postgres://u:hunter2@h/db?sslpassword=hunter2",
        "DATABASE_DIRECT_URL": "postgres://u:hunter2@h2/db",
        "PILLARS_TOKEN": "hunter2",
        "PILLARS_VIEW_TOKEN": "hunter2too",
        "PILLARS_ENV": "dev",
    }
    settings = load(tmp_path, environ)
    assert settings.token == "hunter2"
    assert "hunter2" not in repr(settings)
    assert "hunter2" not in str(settings.described())
    assert (
        "database_url",
        "postgres://u:***@h/db?sslpassword=***",
        "DATABASE_URL",
    ) in settings.described()
    assert ("token", "***", "PILLARS_TOKEN") in settings.described()


def test_queues_are_described_as_they_are_read(tmp_path: Path) -> None:
    said = "mail:5,default,tenant:a:,tenant:b:7"
    described = {name: value for name, value, _ in load(tmp_path, queues=said).described()}
    assert described["queues"] == said


def test_every_setting_is_described_in_words(tmp_path: Path) -> None:
    rows = {
        name: (value, source)
        for name, value, source in load(tmp_path, queues="mail:5,default").described()
    }
    inside = {"sources", "belonging", "dotenv", "warnings"}
    assert set(rows) == {field.name for field in fields(Settings)} - inside
    assert rows["queues"] == ("mail:5,default", "flag --queues")
    assert rows["lock"] == ("30s", "default")
    assert rows["database_url"] == ("-", "default")
    assert load(tmp_path).described()[12][:2] == ("concurrency", "100")


MASKED = {
    "postgres://u:p@h:5432/db": "postgres://u:***@h:5432/db",
    "postgres://u@h/db": "postgres://u@h/db",
    "postgres://h/db": "postgres://h/db",
    "postgres://:p@h/db": "postgres://:***@h/db",
    "postgres://u:p@w/o#r?d@h/db": "postgres://u:***@h/db",
    "postgres://u@h/db?password=p&a=b": "postgres://u@h/db?password=***&a=b",
    "host=h password=p user=u": "host=h password=*** user=u",
    "host=h password = 'p w' user=u": "host=h password = *** user=u",
    "": "",
}


@pytest.mark.parametrize("url", MASKED)
def test_the_password_of_a_url_is_masked(url: str) -> None:
    assert masked_url(url) == MASKED[url]


@given(st.text(alphabet="hunter2@:/?#&='\\ %", min_size=1))
def test_no_password_shows_however_odd(password: str) -> None:
    assert masked_url(f"postgres://user:{password}@host/db") == "postgres://user:***@host/db"


def test_reading_the_settings_loads_nothing_heavy() -> None:
    program = (
        "import sys, pillars.settings; pillars.settings.load(environ={}); "
        "heavy = {'asyncpg', 'anyio', 'structlog', 'msgspec', 'uvloop', 'asyncio'}; "
        "sys.exit(repr(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "name", ["pillars.user_id", "app.current_user_id", "request.jwt.claim.sub", "_a.b$1"]
)
def test_a_setting_that_policies_ask_has_a_dot(tmp_path: Path, name: str) -> None:
    assert load(tmp_path, {"PILLARS_RLS_USER": name}).rls_user == name


@pytest.mark.parametrize(
    "name",
    ["user_id", "search_path", "a.", ".a", "a..b", "1.a", "a.b c", "a.b'", "a.ü", "a." + "b" * 100, "Pillars.System", "pillars.job_id", "pillars.job_name"],
)  # fmt: skip
def test_what_is_no_such_setting_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match="PILLARS_RLS_USER: "):
        load(tmp_path, {"PILLARS_RLS_USER": name})


@pytest.mark.parametrize("variable", ["PILLARS_RLS_USER_ROLE", "PILLARS_RLS_SYSTEM_ROLE"])
@pytest.mark.parametrize("role", ["none", "None", "a\nb", "x" * 64])
def test_what_is_no_role_is_refused(tmp_path: Path, variable: str, role: str) -> None:
    with pytest.raises(ConfigurationError, match=f'{variable}: expected a role such as "app_user"'):
        load(tmp_path, {variable: role})
