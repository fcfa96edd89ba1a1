"""What is said of a job's own process, and of a program that is a job."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from pillars import Child, DefinitionError, Discard, Job, PayloadError, UsageError, job, shell_job


@pytest.mark.parametrize(
    ("said", "size"),
    [
        ("16MB", 16_000_000), ("512MB", 512_000_000), ("1GB", 10**9), ("1.5 GB", 1_500_000_000), ("64MiB", 64 * 2**20),
        ("2GiB", 2 * 2**30), ("100000kB", 10**8), ("100000KiB", 102_400_000), ("20000000B", 20_000_000), (20_000_000, 20_000_000),
    ],
)  # fmt: skip
def test_memory_is_bytes_or_a_size_in_words(said: int | str, size: int) -> None:
    assert Child(memory=said).bytes == size


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (
            {"memory": "1 MB"},
            "memory: expected 16 MB to 1130 TB, got 1000000 bytes",
        ),
        ({"memory": "much"}, 'memory: expected bytes or a size such as "512MB", got "much"'),
        ({"memory": "-1GB"}, 'memory: expected bytes or a size such as "512MB", got "-1GB"'),
        (
            {"memory": True},
            'memory: expected bytes or a size such as "512MB", got bool',
        ),
        ({"cpu_time": "10ms"}, 'cpu_time: expected 1s to 365d, got "10ms"'),
        ({"env": "PATH"}, 'env: expected a list of names, got the text "PATH"'),
        (
            {"env": ["A=B"]},
            'env: expected names of variables, with * at the end for any ending, got "A=B"',
        ),
        (
            {"env": ["A*B"]},
            'env: expected names of variables, with * at the end for any ending, got "A*B"',
        ),
        ({"folder": "a\0b"}, "folder: contains NUL (U+0000), which no path has"),
        ({"ansi": "maybe"}, "ansi: expected one of strip, keep, got 'maybe'"),
        ({"reuse": 0}, "reuse: expected a whole number from 1 to 1000000, got 0"),
    ],
)
def test_what_is_out_of_range_is_told_in_a_line(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError) as raised:
        Child(**wrong)
    assert str(raised.value) == told


def test_what_is_given_once_is_kept() -> None:
    child = Child(env=(name for name in ("ONE", "TWO_*")), cpu_time="90s", folder="somewhere")
    assert child.env == ("ONE", "TWO_*")
    assert (child.cpu_seconds, child.folder) == (90, Path("somewhere"))
    assert child == Child(env=["ONE", "TWO_*"], cpu_time=timedelta(seconds=90), folder="somewhere")
    assert hash(child)


@job(process=True)
def in_a_child(number: int) -> int:
    return number


@job(process=Child(memory="1GB"), queue="heavy")
async def in_a_large_child(number: int) -> int:
    return number


def test_a_function_is_told_to_run_in_a_process() -> None:
    assert (in_a_child.kind, in_a_child.setup) == ("process", Child())
    assert (in_a_large_child.kind, in_a_large_child.setup.bytes) == ("process", 10**9)


def test_what_is_neither_a_child_nor_a_truth_is_refused() -> None:
    with pytest.raises(DefinitionError, match="process: expected True, False or a Child, got str"):
        job(process="yes")(lambda: None)  # type: ignore[call-overload]


class TestShellJobs:
    def test_its_placeholders_are_its_parameters_in_their_order(self) -> None:
        thumbnail = shell_job(
            ["convert", "{source}", "-resize", "{size}x{size}", "{target}", "a {{brace}}"],
            name="images.thumbnail",
        )
        call = thumbnail.call("in.png", 200, target="out.png")
        assert call.payload == '{"source":"in.png","size":200,"target":"out.png"}'
        assert thumbnail.command is not None
        assert thumbnail.command.filled({"source": "in.png", "size": 200, "target": "-o"}) == [
            "convert", "in.png", "-resize", "200x200", "-o", "a {brace}",
        ]  # fmt: skip

    def test_it_stands_where_it_was_written(self) -> None:
        lists = shell_job(["ls"], name="shell.lists")
        code = lists.function.__code__
        assert Path(code.co_filename) == Path(__file__)
        assert "shell.lists" in Path(__file__).read_text().splitlines()[code.co_firstlineno - 1]
        assert lists.function.__module__ == __name__

    @pytest.mark.parametrize(
        ("arguments", "told"),
        [
            ({}, "missing word"),
            ({"word": None}, "args.word: expected str | int | float, got NoneType"),
            ({"word": ["a", "b"]}, "args.word: expected str | int | float, got list"),
            ({"word": "a", "other": "b"}, "has no parameter other"),
        ],
    )
    def test_arguments_that_do_not_fit_are_refused_at_enqueue(
        self, arguments: dict[str, Any], told: str
    ) -> None:
        echo: Job[..., Any] = shell_job(["echo", "{word}"], name="shell.echoes")
        with pytest.raises(PayloadError, match=told.replace("|", r"\|").replace(".", r"\.")):
            echo.call(**arguments)

    def test_a_nul_reaches_no_program(self) -> None:
        echo = shell_job(["echo", "{word}"], name="shell.echoes")
        assert echo.command is not None
        with pytest.raises(UsageError, match="word: contains NUL"):
            echo.command.filled({"word": "a\0b"})

    @pytest.mark.parametrize(
        ("words", "more", "told"),
        [
            ("ls -l", {}, 'command: expected a list of words, got the text "ls -l"; write ["sh", "-c", \'ls -l\'] where a shell is meant'),
            ([], {}, "command: expected a program and its arguments, got an empty list"),
            (["ls", 1], {}, "command: expected text, got int"),
            (["ls", "{}"], {}, 'command: expected {name} for an argument, got "{}"; a brace is written {{ or }}'),
            (["ls", "{a.b}"], {}, 'command: expected {name} for an argument, got "{a.b}"; a brace is written {{ or }}'),
            (["ls", "{a!r}"], {}, 'command: expected {name} for an argument, got "{a!r}"; a brace is written {{ or }}'),
            (["ls", "{a:>9}"], {}, 'command: expected {name} for an argument, got "{a:>9}"; a brace is written {{ or }}'),
            (["awk", "{print}", "}"], {}, "command: \"}\": Single '}' encountered in format string; a brace is written {{ or }}"),
            (["ls"], {"exits": {0: Discard("no")}}, "exits: expected a whole number from 1 to 255, got 0"),
            (["ls"], {"exits": {3: "retry"}}, "exits: expected Retry(...), Snooze(...) or Discard(...) for 3, got str"),
            (["ls"], {"name": "no name"}, 'job name: expected 1 to 100 of A-Z a-z 0-9 . _ : / - (the first a letter or digit), got "no name"'),
        ],
    )  # fmt: skip
    def test_what_is_declared_wrongly_is_told_in_a_line(
        self, words: Any, more: dict[str, Any], told: str
    ) -> None:
        with pytest.raises(DefinitionError) as raised:
            shell_job(words, **{"name": "shell.wrong", **more})
        assert str(raised.value) == told
