"""How a command ends: its exit code, and an error of ours as one line, without a traceback."""

import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, ParamSpec

import click

from pillars.cli.words import visible
from pillars.errors import ConfigurationError, PillarsError, Unknown, UsageError
from pillars.settings.redaction import masked

P = ParamSpec("P")

DONE, FAILED, USAGE, STOPPED = 0, 1, 2, 130


class Misuse(click.ClickException):
    """An argument that cannot be used: one line, exit code 2."""

    exit_code = USAGE

    def show(self, file: Any = None) -> None:
        click.echo(f"app: {visible(masked(self.message))}", file=file, err=file is None)


def ending(command: Callable[P, int]) -> Callable[P, None]:
    """Leave with the command's exit code; an error of ours is one line, without a traceback."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            code = command(*args, **kwargs)
        except (PillarsError, BaseExceptionGroup) as raised:
            code = code_of(raised)
        sys.exit(code)

    return run


@contextmanager
def arguments() -> Iterator[None]:
    """What is wrong with something said on the command line is a `Misuse`; what is not there stays `Unknown`."""
    try:
        yield
    except Unknown:
        raise
    except UsageError as error:
        raise Misuse(str(error)) from error


def code_of(raised: BaseException) -> int:
    """Say what was raised, and return the exit code for it."""
    error = _ours(raised)
    if error is None:
        click.echo(masked("".join(traceback.format_exception(raised))), err=True, nl=False)
        return FAILED
    click.echo(f"app: {visible(masked(str(error)))}", err=True)
    return USAGE if isinstance(error, ConfigurationError) else FAILED


def _ours(raised: BaseException) -> PillarsError | None:
    """The error of ours that was raised, alone or in a task group."""
    if isinstance(raised, PillarsError):
        return raised
    if isinstance(raised, BaseExceptionGroup):
        return next((found for one in raised.exceptions if (found := _ours(one))), None)
    return None
