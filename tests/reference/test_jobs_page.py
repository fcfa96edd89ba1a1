"""docs/reference/jobs.md and the code say the same; its examples are run."""

import ast
import inspect
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, is_dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

import pydantic
import pytest

import pillars
from docs_pages import REFERENCE, blocks, code, section, table
from pillars import Context, Discard, Handle, Job, Retry, Snooze, errors, job
from pillars.backoff import delay
from pillars.codec import ValueCodec
from pillars.durations import LONGEST, duration, words
from pillars.errors import DefinitionError, PayloadError, UnknownJob
from pillars.jobs.definition import KEEPS, Configured
from pillars.jobs.enqueuing import Call
from pillars.store.database import Database
from pillars.store.states import STATES
from support import ask, running, until, worker_for

PAGE = (REFERENCE / "jobs.md").read_text("utf-8")
OURS = {*errors.__all__, "TimeoutError"}
EXAMPLES = blocks(PAGE, "python")
DEFINES = re.compile(r"^@job", re.MULTILINE)
DEFINED = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef)


def signature(function: Callable[..., Any]) -> inspect.Signature:
    """Without types, which the page does not repeat, and without self."""
    found = inspect.signature(function)
    return found.replace(
        parameters=[
            one.replace(annotation=one.empty)
            for one in found.parameters.values()
            if one.name != "self"
        ],
        return_annotation=inspect.Signature.empty,
    )


def raised(said: str | None) -> set[str]:
    """The errors that a text names."""
    return {name for name in re.findall(r"`(\w+)`", said or "") if name in OURS}


# --- parameters ---------------------------------------------------------------------------------------------

PARAMETERS: dict[str, Callable[..., Any]] = {
    "@job": job,
    "Child": pillars.Child,
    "shell_job": pillars.shell_job,
    "configure": Job.configure,
    "enqueue_many": pillars.enqueue_many,
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_its_parameters_and_defaults_are_those_of_the_code(name: str) -> None:
    meant = [
        [one.name] if one.default is one.empty else [one.name, _shown(one.default)]
        for one in signature(PARAMETERS[name]).parameters.values()
        if one.kind is not one.POSITIONAL_ONLY  # the function that is decorated
    ]
    told = table(section(PAGE, name), "parameter")
    assert [code(cells[0]) + code(cells[1]) for cells in told] == meant


def _shown(default: object) -> str:
    return "..." if default is ... else repr(default)


@pytest.mark.parametrize("function", [pillars.connect], ids=["connect"])
def test_a_function_stands_there_as_it_is_called(function: Callable[..., Any]) -> None:
    assert f"`pillars.{function.__name__}{signature(function)}`" in PAGE


@pytest.mark.parametrize("kind", [Retry, Snooze, Discard])
def test_an_outcome_stands_there_as_it_is_raised(kind: type[Exception]) -> None:
    assert f"`{kind.__name__}{signature(kind)}`" in section(PAGE, "How an attempt ends")


# --- members ------------------------------------------------------------------------------------------------

CLASSES: dict[str, type[Any]] = {"Job": Job, "Call": Call, "Handle": Handle, "Context": Context}


def members(kind: type[Any]) -> dict[str, object]:
    """What has no underscore: of the class, its bases aside, and what `__init__` sets."""
    found = {name: value for name, value in vars(kind).items() if not name.startswith("_")}
    slots = [name for name in getattr(kind, "__slots__", ()) if not name.startswith("_")]
    made = []
    if not is_dataclass(kind):
        made = re.findall(r"self\.([a-z]\w*)(?:: [^=\n]+)? =", inspect.getsource(kind.__init__))
    return {**found, **dict.fromkeys([*slots, *made])}


@pytest.mark.parametrize("name", CLASSES)
def test_every_member_is_told_of_and_no_other(name: str) -> None:
    found = members(CLASSES[name])
    meant = set()
    for member, value in found.items():
        if not inspect.isfunction(value):
            meant.add(member)
        elif member == "configure":  # its parameters have a table of their own
            meant.add("configure(*, …)")
        else:
            awaited = inspect.iscoroutinefunction(value) or "Coroutine[" in str(
                value.__annotations__.get("return")
            )
            meant.add(f"{'await ' if awaited else ''}{member}{signature(value)}")
    text = section(PAGE, name).partition("\n### ")[0]
    told = {code(cells[0])[0] for cells in table(text, "member")}
    for sentence in re.findall(
        r"((?:`[^`]+`(?:,\s+|\s+and\s+)?)+)\s+(?:is|are) the runtime's own", text
    ):
        told |= set(code(sentence))
    assert {one.replace("()", "") for one in told} == {one.replace("()", "") for one in meant}


def told_methods() -> list[tuple[str, str, set[str]]]:
    return [
        (name, re.split(r"[( ]", code(cells[0])[0].removeprefix("await "))[0], raised(cells[2]))
        for name in ("Job", "Handle", "Context")
        for cells in table(section(PAGE, name).partition("\n### ")[0], "member")
    ]


@pytest.mark.parametrize(("name", "member", "told"), told_methods())
def test_what_a_member_raises_is_what_its_docstring_says(
    name: str, member: str, told: set[str]
) -> None:
    value = members(CLASSES[name])[member]
    if inspect.isfunction(value):
        assert raised(inspect.getdoc(value)) == told
    else:
        assert not told


@pytest.mark.parametrize(
    ("heading", "name"),
    [
        ("@job", "job"),
        ("enqueue_many", "enqueue_many"),
        ("Child", "Child"),
        ("shell_job", "shell_job"),
    ],
)
def test_what_a_function_raises_is_what_its_docstring_says(heading: str, name: str) -> None:
    [said] = re.findall(r"^Raises (.*?)(?:\.$| where)", section(PAGE, heading), re.MULTILINE)
    assert raised(said) == raised(inspect.getdoc(getattr(pillars, name)))


@pytest.mark.parametrize("name", ["connection", "connect"])
def test_what_a_block_raises_is_what_its_docstring_says(name: str) -> None:
    [paragraph] = re.findall(rf"^`pillars\.{name}\(.*?\n\n", PAGE, re.MULTILINE | re.DOTALL)
    assert raised(paragraph) == raised(inspect.getdoc(getattr(pillars, name)))


def test_a_configured_job_takes_the_three_verbs_that_are_told() -> None:
    told = re.findall(
        r"It returns a value with (.*?), which take", section(PAGE, "configure"), re.DOTALL
    )
    verbs = {name for name, value in vars(Configured).items() if inspect.isfunction(value)}
    assert set(code(told[0])) == {name for name in verbs if not name.startswith("_")}


@pytest.mark.parametrize("name", sorted(pillars.HOMES))
def test_every_public_name_says_what_it_is(name: str) -> None:
    value = getattr(pillars, name)
    assert len((value.__doc__ or "").partition("\n")[0]) > 10
    if inspect.isclass(value):
        for member, one in vars(value).items():
            if not member.startswith("_") and (
                inspect.isfunction(one) or isinstance(one, property)
            ):
                assert inspect.getdoc(one), f"{name}.{member}"


def test_a_job_cannot_be_called_as_the_page_says() -> None:
    assert not callable(job(take))


# --- arguments ----------------------------------------------------------------------------------------------


class Colour(Enum):
    RED = "red"


@dataclass
class Line:
    sku: str
    count: int


class Model(pydantic.BaseModel):
    count: int


NAMES = {
    **{one.__name__: one for one in (Colour, Line, Model, datetime, date, time, timedelta, UUID, Decimal)},
    "UTC": UTC, "Literal": Literal, "Any": Any,
}  # fmt: skip


def take(value):  # type: ignore[no-untyped-def] # that is what is shown
    return value


def numbers(value: list[int]) -> None: ...


def count(value: int = 0) -> None: ...


@pytest.mark.parametrize("cells", table(PAGE, "annotation"), ids=lambda cells: cells[0])
def test_a_value_becomes_the_json_that_is_shown_and_comes_back(cells: list[str]) -> None:
    annotation, value, written = (code(cell)[0] for cell in cells)
    codec = ValueCodec(eval(annotation, NAMES))
    made = eval(value, NAMES)
    assert codec.encode(made).decode() == written
    assert codec.decode(written) == made


@pytest.mark.parametrize("cells", table(PAGE, "refused"), ids=lambda cells: cells[0][:40])
def test_what_is_refused_is_refused_with_these_words(cells: list[str]) -> None:
    [said] = code(cells[1])
    for refused in code(cells[0]):
        if refused.startswith("def "):
            names: dict[str, Any] = {"__name__": "shown"}
            exec(f"{refused}: ...", names)
            with pytest.raises(DefinitionError):
                job(names["f"])
            assert said == "DefinitionError"
            continue
        function, _, arguments = refused.partition("(")
        known = {"take": take, "numbers": numbers, "count": count}
        made = f"made.call({arguments}"
        with pytest.raises(PayloadError, match=re.escape(said)):
            eval(made, {**NAMES, "made": job(known[function])})


# --- what else is said --------------------------------------------------------------------------------------


def test_the_states_are_those_that_there_are() -> None:
    [said] = [cells[1] for cells in table(PAGE, "member") if cells[0] == "`await state()`"]
    assert sorted(code(said)) == sorted(STATES)


def test_what_is_kept_is_told_for_each_keep() -> None:
    assert [code(cells[0]) for cells in table(PAGE, "`keep`")] == [[repr(one)] for one in KEEPS]


@pytest.mark.parametrize("cells", table(PAGE, "`backoff`"), ids=lambda cells: cells[0])
def test_a_backoff_waits_as_it_is_told(cells: list[str]) -> None:
    policy = eval(code(cells[0])[0])
    *shown, last = code(cells[1])
    waits = [delay(policy, attempt) for attempt in (1, 2, 3)]
    if policy is None:
        for wait, full in zip(waits, map(duration, shown), strict=True):
            assert full / 2 <= wait <= full
        assert duration(last) / 2 <= delay(policy, 1000) <= duration(last)
    else:
        assert [words(wait) for wait in waits] == [*shown, last]


def test_durations_are_read_as_they_are_told() -> None:
    said = section(PAGE, "Durations")
    for one in code(said)[1:]:
        assert duration(one)
    assert f"From 0 to {words(LONGEST).removesuffix('d')} days." in said


def test_links_lead_to_headings_and_pages() -> None:
    for page, anchor in re.findall(r"\]\(([^)#]*)(?:#([^)]*))?\)", PAGE):
        text = (REFERENCE / page).read_text("utf-8") if page else PAGE
        headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
        assert not anchor or anchor in {
            re.sub(r"[^a-z0-9 _-]", "", one.lower()).replace(" ", "-") for one in headings
        }


# --- examples -----------------------------------------------------------------------------------------------


@asynccontextmanager
async def told(database: Database) -> AsyncIterator[dict[str, Any]]:
    """What the page's code has defined and done, in order, while a worker was there for all of it."""
    names: dict[str, Any] = {"__name__": "jobs.mail"}
    for example in EXAMPLES:
        if DEFINES.search(example):
            await run(example, names, definitions=True)
    jobs = [value for value in names.values() if isinstance(value, Job)]
    async with running(worker_for(database, *jobs)):
        for example in EXAMPLES:
            await run(example, names, definitions=False)
        yield names


async def run(example: str, names: dict[str, Any], *, definitions: bool) -> None:
    """Execute of an example what it defines, or what it does with that; it may await, as in a notebook."""
    tree = ast.parse(example, str(REFERENCE / "jobs.md"))
    if DEFINES.search(example):
        tree.body = [one for one in tree.body if isinstance(one, DEFINED) is definitions]
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    done = eval(compile(tree, str(REFERENCE / "jobs.md"), "exec", flags), names)
    if inspect.isawaitable(done):
        await done


async def test_the_examples_do_what_they_show(
    db: str, database: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DATABASE_URL", db)
    async with told(database) as names:
        assert names["receipt"] == "receipt 42 sent"
        assert await names["later"].state() == "cancelled"
        assert [await one.result(timeout="20s") for one in names["handles"]] == [
            f"receipt {number} sent" for number in range(44, 47)
        ]
        assert names["waiting"] >= 0
        assert await result(names["count_jobs"]) > 5
        # As the table of ends says.
        assert await result(names["fetch"], 200) == "fetched"
        assert await result(names["fetch"], 429) == "fetched"
        with pytest.raises(pillars.JobFailed, match="there is no such page"):
            await result(names["fetch"], 404)
        snoozed = await names["fetch"].enqueue(503)
        await until(lambda: is_in(snoozed, "scheduled"))
        with pytest.raises(pillars.JobFailed, match="not done within 100ms"):
            await result(names["convert"], str(tmp_path))
        assert list(tmp_path.iterdir()) == []


async def result(job: Job[..., Any], *args: object) -> Any:
    return await (await job.enqueue(*args)).result(timeout="20s")


async def is_in(handle: Handle[Any], state: str) -> bool:
    return await handle.state() == state


@pytest.mark.parametrize("keep", KEEPS)
async def test_what_is_kept_of_a_completed_job_is_what_is_told(
    db: str, database: Database, keep: Literal["full", "slim", "failed", "none"]
) -> None:
    [told] = [cells[1] for cells in table(PAGE, "`keep`") if code(cells[0]) == [repr(keep)]]

    @job(name="kept", keep=keep)
    async def kept() -> int:
        return 7

    async with running(worker_for(database, kept)):
        handle = await kept.enqueue()
        await until(lambda: ask(db, "select count(*) = 0 from pillars.jobs"))
        if told.startswith("nothing"):
            with pytest.raises(UnknownJob):
                await handle.result(timeout="20s")
        else:
            left = await handle.result(timeout="20s")
            assert left == (7 if told == "everything" else None)
