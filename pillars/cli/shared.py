"""Options that several commands take."""

from collections.abc import Callable
from functools import reduce
from typing import Any

import click

Decorated = Callable[..., Any]
Option = Callable[[Decorated], Decorated]

JSON = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document, as the HTTP API answers."
)


class _Wait(click.Option):
    """Its time is its own affair, and help says so."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        record = super().get_help_record(ctx)
        return record and ("--wait[=TIME]", record[1])


WAIT = click.option(
    "--wait",
    cls=_Wait,
    metavar="TIME",
    help="Wait for the end and print the result; exit 1 unless it completed.",
)


def together(*options: Option) -> Option:
    """Several options as one decorator, in the order in which help shows them."""
    return lambda command: reduce(lambda one, option: option(one), reversed(options), command)


class AsWritten(click.Command):
    """A command whose `--wait` takes a time only as `--wait=TIME`: what follows a bare one is an argument of its own."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        end = args.index("--") if "--" in args else len(args)
        bare = ["--wait=" if word == "--wait" else word for word in args[:end]]
        return super().parse_args(ctx, bare + args[end:])
