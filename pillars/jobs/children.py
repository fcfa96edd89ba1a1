"""Jobs that run in a process of their own: how it is set up, and `shell_job`, which makes any program a job."""

import inspect
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from string import Formatter
from types import FrameType, FunctionType, MappingProxyType
from typing import Any, Literal

from pillars.durations import Duration, duration
from pillars.errors import Discard, Outcome, Retry, Snooze, UsageError
from pillars.jobs import options as checks
from pillars.sizes import LEAST_PROCESS, Size, size

Ansi = Literal["strip", "keep"]

ANSI = ("strip", "keep")
REUSE = 100  # jobs: what a library leaks in a job is little; an interpreter with the app takes most of a second to start
MOST_REUSE = 1_000_000
LEAST_CPU_TIME, MOST_CPU_TIME = timedelta(seconds=1), timedelta(days=365)
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\*?|\*", re.ASCII)
LONGEST_WORD = 100_000  # bytes; Linux takes 131,072

Word = str | int | float
"""What a parameter of a `shell_job` takes: one word of its command, or a part of one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """How a job's own process is set up: `@job(process=Child(memory="1GB"))`.

    `memory` bounds what each of its processes may allocate, in bytes or as "512MB" or "2GiB" (None: PILLARS_CHILD_MEMORY); `cpu_time` what each may
    compute (None: as the worker). `env` names the variables that it gets besides harmless ones (see docs/howto/processes.md), `*` at the end stands for any
    ending. `folder` is where it runs; None: where the worker does. `ansi` says whether escape sequences stay in the lines that it prints.
    A Python process runs up to `reuse` jobs, one after another. Raises `UsageError` for what is out of range.
    """

    memory: Size | None = None
    cpu_time: Duration | None = None
    env: Iterable[str] = ()
    folder: str | Path | None = None
    ansi: Ansi = "strip"
    reuse: int = REUSE

    def __post_init__(self) -> None:
        if self.memory is not None:
            _put(self, "memory", size(self.memory, what="memory", least=LEAST_PROCESS))
        if self.cpu_time is not None:
            _put(self, "cpu_time", _cpu_time(self.cpu_time))
        _put(self, "env", _variables(self.env))
        if self.folder is not None:
            if "\0" in str(self.folder):
                raise UsageError("folder: contains NUL (U+0000), which no path has")
            _put(self, "folder", Path(self.folder))
        if self.ansi not in ANSI:
            raise UsageError(f"ansi: expected one of {', '.join(ANSI)}, got {self.ansi!r}")
        checks.checked_whole(self.reuse, "reuse", 1, MOST_REUSE)

    @property
    def bytes(self) -> int | None:
        """`memory` in bytes."""
        return self.memory if isinstance(self.memory, int) else None

    @property
    def cpu_seconds(self) -> int | None:
        """`cpu_time` in whole seconds, as systems count it."""
        return None if self.cpu_time is None else round(duration(self.cpu_time).total_seconds())


@dataclass(frozen=True, slots=True)
class Command:
    """The words of a `shell_job`, with their placeholders, and what its exit codes say."""

    words: tuple[str, ...]
    exits: Mapping[int, Outcome] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def parameters(self) -> tuple[str, ...]:
        """The placeholders, in the order in which they come."""
        found = [name for word in self.words for _, name, _, _ in Formatter().parse(word) if name]
        return tuple(dict.fromkeys(found))

    def filled(self, arguments: Mapping[str, Word]) -> list[str]:
        """The words of one job. Raises `UsageError` for an argument with a NUL, which no system passes on."""
        for name, value in arguments.items():
            if "\0" in str(value):
                raise UsageError(f"{name}: contains NUL (U+0000), which no program can be given")
        return [word.format(**arguments) for word in self.words]


def checked_child(process: "bool | Child") -> Child | None:
    """What `process=` says."""
    if isinstance(process, Child):
        return process
    if isinstance(process, bool):
        return Child() if process else None
    raise UsageError(f"process: expected True, False or a Child, got {type(process).__name__}")


def checked_command(words: Sequence[str], exits: Mapping[int, Outcome] | None) -> Command:
    """What `shell_job` was told; the program may still be missing where the worker runs."""
    if isinstance(words, str):
        raise UsageError(
            f'command: expected a list of words, got the text "{words[:40]}"; write ["sh", "-c", {words[:40]!r}] where a shell is meant'
        )
    if not words:
        raise UsageError("command: expected a program and its arguments, got an empty list")
    for word in words:
        _check_word(word)
    return Command(tuple(words), MappingProxyType(dict(_checked_exits(exits or {}))))


def function_of(command: Command, *, name: str, caller: FrameType | None) -> FunctionType:
    """A function with the command's placeholders for parameters, that stands where `shell_job` was called."""

    def run(**_arguments: Word) -> None:
        raise UsageError("a shell_job has no Python code: a worker runs its command")

    parameters = [
        inspect.Parameter(one, inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=Word)
        for one in command.parameters
    ]
    shell: Any = run
    shell.__signature__ = inspect.Signature(parameters, return_annotation=Any)
    shell.__annotations__ = {**dict.fromkeys(command.parameters, Word), "return": Any}
    shell.__name__ = shell.__qualname__ = name
    if caller is not None:
        shell.__module__ = caller.f_globals.get("__name__", __name__)
        shell.__code__ = shell.__code__.replace(
            co_filename=caller.f_code.co_filename, co_firstlineno=caller.f_lineno
        )
    return run  # type: ignore[return-value]


def caller_of(depth: int) -> FrameType | None:
    """The frame that called the function which asks, `depth` calls up."""
    try:
        return sys._getframe(depth + 1)  # noqa: SLF001 - its documented use
    except ValueError:
        return None


def _put(child: Child, name: str, value: object) -> None:
    object.__setattr__(child, name, value)


def _cpu_time(value: Duration) -> timedelta:
    length = duration(value, what="cpu_time")
    if not LEAST_CPU_TIME <= length <= MOST_CPU_TIME:
        raise UsageError(f'cpu_time: expected 1s to 365d, got "{value}"')
    return length


def _variables(given: Iterable[str]) -> tuple[str, ...]:
    if isinstance(given, str):
        raise UsageError(f"env: expected a list of names, got the text {checks.shown(given)}")
    names = tuple(given)
    for name in names:
        if not isinstance(name, str) or not VARIABLE.fullmatch(name):
            raise UsageError(
                f"env: expected names of variables, with * at the end for any ending, got {checks.shown(str(name))}"
            )
    return names


def _check_word(word: object) -> None:
    if word == "":  # an argument may be empty
        return
    word = checks.checked_text(word, "command", longest=LONGEST_WORD)
    try:
        parts = list(Formatter().parse(word))
    except ValueError as error:
        raise UsageError(
            f"command: {checks.shown(word)}: {error}; a brace is written {{{{ or }}}}"
        ) from None
    for _, name, form, conversion in parts:
        if name is not None and (not name.isidentifier() or form or conversion):
            raise UsageError(
                f"command: expected {{name}} for an argument, got {checks.shown(word)}; a brace is written {{{{ or }}}}"
            )


def _checked_exits(exits: Mapping[int, Outcome]) -> Iterable[tuple[int, Outcome]]:
    for code, outcome in exits.items():
        checks.checked_whole(code, "exits", 1, 255)
        if not isinstance(outcome, Retry | Snooze | Discard):
            raise UsageError(
                f"exits: expected Retry(...), Snooze(...) or Discard(...) for {code}, got {type(outcome).__name__}"
            )
        yield code, outcome
