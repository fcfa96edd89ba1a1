"""What one attempt may say: how much, of what form, and what is hidden."""

import json
from functools import partial
from typing import Any

import pytest
from speaking import Gate, ran, said, tells, written

from pillars import Context, PayloadError, UsageError, job, log
from pillars.store.database import Database
from pillars.worker import saying, voice
from support import ask, until


@pytest.fixture
async def gate() -> Gate:
    return Gate()


# --- caps ---


async def test_of_a_flood_what_is_too_much_is_left_out_and_counted(
    db: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(voice, "MOST_BUFFERED", 50)

    @job(name="floods")
    def floods(ctx: Context) -> None:
        for number in range(5_000):
            ctx.log.info("drop", number=number)

    handle = await ran(database, floods)
    lines = await said(db, handle.job_id, "log")
    left_out = sum(one["fields"]["lines"] for one in lines if one["event"] == "left out")
    numbers = [one["fields"]["number"] for one in lines if one["event"] == "drop"]
    assert left_out + len(numbers) == 5_000
    assert left_out > 0
    assert numbers == sorted(numbers)


async def test_past_its_lines_only_progress_and_outputs_of_an_attempt_go_on(
    db: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(voice, "MOST_LINES", 10)

    @job(name="endless")
    async def endless(ctx: Context) -> None:
        for number in range(100):
            ctx.log.info("line", number=number)
        ctx.progress(100)
        ctx.emit("result")

    handle = await ran(database, endless)
    lines = await said(db, handle.job_id, "log")
    assert [one["event"] for one in lines] == ["line"] * 10 + ["cut"]
    assert lines[-1] == {
        "level": "warning",
        "event": "cut",
        "fields": {"lines": 10},
        "stream": "log",
    }
    assert len(await said(db, handle.job_id, "progress")) == 1
    assert len(await said(db, handle.job_id, "output")) == 1


async def test_what_is_left_out_when_it_is_cut_is_told_and_nothing_waits_for_it(
    db: str, database: Database, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(voice, "MOST_BUFFERED", 10)
    monkeypatch.setattr(voice, "MOST_LINES", 20)
    monkeypatch.setattr(saying, "MOST_ROWS", 7)  # as where others' floods share the batch
    async with gate.inside(database) as (worker, ctx, job_id):
        for number in range(100):
            ctx.log.info("line", number=number)
            if number % 15 == 14:
                await worker.sayings.write_once()
        spoken = ctx._control.exchange.voice
        await until(lambda: not spoken.unheard)  # type: ignore[attr-defined]
    assert "cut" in [one["event"] for one in await said(db, job_id, "log")]


async def test_an_output_too_many_is_refused_aloud(
    db: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(voice, "MOST_OUTPUTS", 3)

    @job(name="generous", max_attempts=1)
    async def generous(ctx: Context) -> None:
        for number in range(4):
            ctx.emit("number", number)

    handle = await ran(database, generous)
    assert await handle.state() == "failed"
    assert await ask(db, "select last_error from pillars.finished_jobs") == (
        "ctx.emit: expected at most 3 outputs and 10,485,760 bytes of an attempt, this one is beyond; say several things in one, or store them elsewhere"
    )
    assert [one["data"] for one in await said(db, handle.job_id)] == [0, 1, 2]


async def test_after_a_minute_progress_is_written_once_a_second_and_the_last_always(
    db: str, database: Database, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(voice, "OFTEN", 2)
    monkeypatch.setattr(voice, "SELDOM", 60.0)
    monkeypatch.setattr(saying, "INTERVAL", 0.01)
    async with gate.inside(database) as (_, ctx, job_id):
        for number in range(2):
            ctx.progress(number)
            await until(partial(written, db, job_id, number + 1))
        ctx.progress(2)
        ctx.emit("two.turns.later")
        await until(lambda: written(db, job_id, 3))
        assert [one["done"] for one in await said(db, job_id, "progress")] == [0, 1]
        ctx.progress(9)
    assert [one["done"] for one in await said(db, job_id, "progress")] == [0, 1, 9]


# --- what lines may hold ---

NASTY = "a\0b\ud800c \x1b[31mred\x1b[0m"


async def test_lines_may_hold_anything(db: str, database: Database) -> None:
    class Hostile:
        def __str__(self) -> str:
            raise ValueError

    @job(name="nasty")
    async def nasty(ctx: Context) -> None:
        ctx.log.info(
            NASTY,
            text=NASTY,
            of={NASTY: [1.5, float("nan"), 2**70, Hostile()]},
            deep=[[[[[[[1]]]]]]],
        )
        ctx.progress(1, message=NASTY)
        ctx.log.info("x" * 20_000)
        ctx.log.info("many", **{f"field{number}": "y" * 5_000 for number in range(10)})
        try:
            dict[str, int]()["why"]
        except KeyError:
            ctx.log.exception("failed")

    handle = await ran(database, nasty)
    assert await handle.state() == "completed"
    first, long, many, failed = await said(db, handle.job_id, "log")
    clean = "a�b�c \x1b[31mred\x1b[0m"
    assert first["event"] == first["fields"]["text"] == clean
    assert first["fields"]["of"] == {clean: [1.5, "nan", str(2**70), "<Hostile>"]}
    assert (await said(db, handle.job_id, "progress"))[-1]["message"] == clean
    assert long["event"] == "x" * 8_192 + "… (11,808 more bytes)"
    assert many["fields"]["cut"].endswith(" more bytes)")
    assert "KeyError: 'why'" in failed["fields"]["exception"]
    assert failed["level"] == "error"


async def test_secrets_are_hidden_in_lines_and_messages(db: str, database: Database) -> None:
    @job(name="discreet")
    async def discreet(ctx: Context, password: str) -> None:
        ctx.log.info(
            "with %s",
            password,
            password=password,
            said=f"it is {password}",
            url="postgres://u:hunter22@h/db",
        )
        ctx.progress(0, message=f"trying {password}")

    handle = await ran(database, discreet, "correct horse")
    [line] = await said(db, handle.job_id, "log")
    assert line["event"] == "with ***"
    assert line["fields"] == {
        "password": "[redacted]",
        "said": "it is ***",
        "url": "postgres://u:***@h/db",
    }
    assert (await said(db, handle.job_id, "progress"))[-1]["message"] == "trying ***"


async def test_levels_that_are_filtered_are_not_said(db: str, database: Database) -> None:
    log.configure(level="warning", format="json")
    try:

        @job(name="quiet")
        async def quiet(ctx: Context) -> None:
            ctx.log.info("unsaid")
            await ctx.log.awarning("said", number=1)
            ctx.log.bind(user="me").error("bound")

        handle = await ran(database, quiet)
    finally:
        log.configure()
    lines = await said(db, handle.job_id, "log")
    assert [(one["level"], one["event"], one["fields"]) for one in lines] == [
        ("warning", "said", {"number": 1}),
        ("error", "bound", {"user": "me"}),
    ]


async def test_a_line_of_ctx_log_goes_to_the_log_of_the_process_as_ever(
    database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    log.configure(level="info", format="json")
    try:
        handle = await ran(database, tells)
    finally:
        log.configure()
    lines = [json.loads(one) for one in capsys.readouterr().err.splitlines() if one.startswith("{")]
    [line] = [one for one in lines if one["event"] == "step.taken"]
    assert {
        "job_id": handle.job_id,
        "job_name": "tells",
        "attempt": 1,
        "number": 1,
        "logger": "tells",
    }.items() <= line.items()


async def test_a_line_of_a_childs_stream_is_said_too(
    db: str, database: Database, gate: Gate
) -> None:
    async with gate.inside(database) as (_, ctx, job_id):
        ctx._control.exchange.voice.say_line("stdout", "token=abcdefgh and \0")  # type: ignore[attr-defined]
    assert await said(db, job_id) == [{"stream": "stdout", "line": "token=[redacted] and �"}]


# --- what is refused ---


@pytest.mark.parametrize(
    ("args", "why"),
    [
        ((-1,), "expected done from 0 up and finite, got -1"),
        ((float("nan"),), "expected done from 0 up and finite, got nan"),
        ((1, float("inf")), "expected total from 0 up and finite, got inf"),
        ((True,), "expected a number as done, got bool"),
        (("3",), "expected a number as done, got str"),
        ((10**400,), "expected done from 0 up and finite, got 1000"),
        ((1, 2, 3), "expected a text as message, got int"),
    ],
)
async def test_progress_that_is_none_is_refused(
    database: Database, gate: Gate, args: tuple[Any, ...], why: str
) -> None:
    async with gate.inside(database) as (_, ctx, _job_id):
        with pytest.raises(UsageError, match=f"ctx.progress: {why}"):
            ctx.progress(*args)


@pytest.mark.parametrize(
    ("name", "data", "why"),
    [
        ("", None, "ctx.emit: name: expected 1 to 100"),
        ("a b", None, "ctx.emit: name: expected 1 to 100"),
        (3, None, "ctx.emit: name: expected 1 to 100"),
        (
            "x",
            {"a": {1, 2}},
            r"data\.a: JSON has no set: write it as text or a number, or pass a dataclass that declares it",
        ),
        ("x", object(), "JSON cannot carry object"),
        ("x", float("inf"), "NaN and Infinity are not JSON"),
        ("x", "a\0b", "contains NUL"),
        ("x", "y" * 65_536, "65,538 bytes of JSON, at most 65,536"),
    ],
)
async def test_an_output_that_is_none_is_refused(
    database: Database, gate: Gate, name: Any, data: Any, why: str
) -> None:
    async with gate.inside(database) as (_, ctx, _job_id):
        with pytest.raises(UsageError, match=why):
            ctx.emit(name, data)


async def test_metadata_is_small_and_json(database: Database, gate: Gate) -> None:
    async with gate.inside(database) as (_, ctx, _job_id):
        ctx.metadata["a"] = [1]
        ctx.metadata["a"].append(2)
        assert dict(ctx.metadata) == {"a": [1]}
        with pytest.raises(PayloadError, match="bytes of JSON in all, at most 16,384"):
            ctx.metadata["b"] = "x" * 16_370
        with pytest.raises(PayloadError, match="the keys of JSON are text, got int"):
            ctx.metadata[1] = "x"  # type: ignore[index]
        with pytest.raises(KeyError):
            del ctx.metadata["b"]
        ctx.metadata["b"] = "x" * 16_000
        ctx.metadata["b"] = "y" * 16_300
        del ctx.metadata["b"]
        ctx.metadata["c"] = "z" * 16_300
        assert len(ctx.metadata) == 2
