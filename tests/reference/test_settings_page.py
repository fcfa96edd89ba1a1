"""docs/reference/settings.md and the settings say the same."""

import re
from datetime import timedelta
from pathlib import Path

import click
import pytest

from docs_pages import REFERENCE, blocks, code, table
from pillars.cli import main
from pillars.durations import words
from pillars.errors import ConfigurationError
from pillars.settings import Settings, load, read_dotenv
from pillars.settings.loading import PLATFORMS
from pillars.settings.specs import ENV, SPECS, Spec

PAGE = (REFERENCE / "settings.md").read_text("utf-8")
KNOWN = {spec.called: spec for spec in (ENV, *SPECS)}
ROWS = {code(cells[0])[0]: cells[1:] for cells in table(PAGE, "variable")}
OF_THE_PROJECT = {"deployment": "the project's name", "root": "the project's folder"}


def told(project: Path, **environ: str) -> Settings:
    return load(environ=environ, project=project)


def test_every_setting_stands_there_once_and_nothing_else() -> None:
    assert sorted(code(cells[0])[0] for cells in table(PAGE, "variable")) == sorted(KNOWN)


@pytest.mark.parametrize("spec", KNOWN.values(), ids=lambda spec: spec.name)
def test_only_a_secret_has_no_key(spec: Spec) -> None:
    assert code(ROWS[spec.called][0]) == ([] if spec.secret else [spec.name])


def flags_of(spec: Spec) -> set[str]:
    """The long options of the pillars that set it."""
    return {
        option
        for role in ("web", "worker", "cron", "dev")
        for one in main.commands[role].params
        if isinstance(one, click.Option) and one.name == spec.name
        for option in one.opts
        if option.startswith("--")
    }


@pytest.mark.parametrize("spec", KNOWN.values(), ids=lambda spec: spec.name)
def test_its_flags_are_those_of_the_pillars(spec: Spec) -> None:
    assert set(code(ROWS[spec.called][1])) == flags_of(spec)


@pytest.mark.parametrize("spec", KNOWN.values(), ids=lambda spec: spec.name)
def test_its_default_is_the_one_in_dev_then_in_prod_then_on_fly(spec: Spec, tmp_path: Path) -> None:
    found: list[str] = []
    for environ in ({}, {"PILLARS_ENV": "prod"}, {"FLY_APP_NAME": "shop"}):
        settings = told(tmp_path, **environ)
        [value] = [value for name, value, _ in settings.described() if name == spec.name]
        value = value.removeprefix(f"{tmp_path}/")
        if found[-1:] != [value]:
            found.append(value)
    said = ROWS[spec.called][3]
    if spec.name in OF_THE_PROJECT:
        assert said == OF_THE_PROJECT[spec.name]
    elif found in (["-"], [""]):
        assert said == "none"
    else:
        values = [one for one in code(said) if one not in {*KNOWN, "FLY_APP_NAME", "lock", "poll"}]
        assert values == found


def test_defaults_that_depend_on_another_setting_do(tmp_path: Path) -> None:
    settings = told(tmp_path, PILLARS_LOCK="60s", PILLARS_POLL="45s")
    assert settings.heartbeat == settings.lock / 3
    assert settings.poll_max == settings.poll


BOUNDED = re.compile(r"(\d+\w*) to (\d+\w*)")


@pytest.mark.parametrize(
    "spec",
    [one for one in KNOWN.values() if BOUNDED.fullmatch(ROWS[one.called][2])],
    ids=lambda spec: spec.name,
)
def test_the_bounds_are_taken_and_nothing_beyond_them(spec: Spec) -> None:
    bounds = BOUNDED.fullmatch(ROWS[spec.called][2])
    assert bounds is not None
    least, most = (spec.read(said, "it") for said in bounds.groups())
    step = timedelta(milliseconds=1) if isinstance(least, timedelta) else 1
    for beyond in (least - step, most + step):
        with pytest.raises(ConfigurationError):
            spec.read(beyond, "it")


@pytest.mark.parametrize(
    "spec",
    [one for one in KNOWN.values() if " or `" in ROWS[one.called][2]],
    ids=lambda spec: spec.name,
)
def test_the_choices_are_those_that_are_taken(spec: Spec) -> None:
    with pytest.raises(ConfigurationError) as refused:
        spec.read("nonsense", "it")
    for choice in code(ROWS[spec.called][2]):
        assert spec.read(choice, "it") == choice
    assert code(ROWS[spec.called][2]) == str(refused.value).split("expected ")[1].split(", got")[
        0
    ].split(" or ")


def test_the_form_says_bounds_or_choices_wherever_there_are_any() -> None:
    free = {"a URL", "a path", "a name", "text", "`module:app`", "a path such as `/ops`", "a token",
            "a package", "a size such as `512MB`", "a setting with a dot", "a role", "queues such as `mail:5,default`",
            "names such as `default,iban`"}  # fmt: skip
    said = {cells[2] for cells in ROWS.values()}
    assert free == {one for one in said if not BOUNDED.fullmatch(one) and " or `" not in one}


def test_the_signs_of_production_are_those_that_decide(tmp_path: Path) -> None:
    [said] = re.findall(r"It is prod where (.*?): what runs there", PAGE, re.DOTALL)
    signs = code(said)
    assert signs[1:] == list(PLATFORMS)
    for sign in signs:
        assert told(tmp_path, **{sign: "postgresql://db/shop"}).env == "prod"


def test_the_fractions_of_the_lock_are_those_of_the_code(tmp_path: Path) -> None:
    one = told(tmp_path)
    meant = {
        "1/3": {one.heartbeat},
        "5/6": {one.trust},
        "2/15": {one.fence_grace},
        "1/60": {one.watch},
        "1/6": {one.sweep, one.leader_read},
        "1/2": {one.sweep_standing, one.leader_idle},
        "2 times": {one.loop_stuck},
        "10 times": {one.loop_stuck_without_deadline},
    }
    said = {cells[0]: {code(cells[1])[0]} for cells in table(PAGE, "of the lock")}
    assert said == {part: {words(value) for value in values} for part, values in meant.items()}
    for part, values in meant.items():
        least, _, most = part.removesuffix(" times").partition("/")
        assert values == {one.lock * int(least) / int(most or 1)}


def test_the_tables_of_pyproject_are_read_as_they_are_shown(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("\n".join(blocks(PAGE, "toml")))
    settings = told(tmp_path)
    assert settings.warnings == ()
    assert (settings.web, settings.queues) == (
        "myapp.main:app",
        (("mail", 5), ("default", 50)),
    )
    assert settings.drain == timedelta(minutes=1)
    assert settings.belonging == {
        "web": ("SESSION_KEY",),
        "worker": ("SESSION_KEY", "STRIPE_KEY"),
    }


def test_the_dotenv_file_is_read_as_it_is_told() -> None:
    [shown] = blocks(PAGE, "sh")
    assert read_dotenv(shown) == {
        "PILLARS_POOL": "5",
        "STRIPE_KEY": "sk#1",
        "GREETING": "two\nlines",
        "RAW": "nothing $changes \\n here",
        "PEM": "-----BEGIN KEY-----\nquoted values may span lines",
    }


@pytest.mark.parametrize("queue", ["a:b:", "a:b:50"])
def test_a_queue_with_a_colon_is_written_as_the_page_says(queue: str, tmp_path: Path) -> None:
    assert f"`{queue}`" in PAGE
    [(name, _)] = told(tmp_path, PILLARS_QUEUES=queue).queues
    assert name == "a:b"
