"""What can be said to `app bench`, and to `python -m bench`."""

import asyncio
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import click

from pillars.errors import PillarsError, Unknown

from .machine import Run
from .measurements import Measurements
from .page import PAGE, publish
from .records import Record, append, read
from .report import live, report as report_of
from .rounds import play
from .running import Bench, Workload
from .server import Server, require_programs, server
from .workloads import WORKLOADS

HERE = Path(__file__).parent
IN_CHECKOUT = (HERE.parent / "pyproject.toml").exists()
RESULTS = HERE / "results.jsonl" if IN_CHECKOUT else Path("bench-results.jsonl")
DONE, FAILED, USAGE = 0, 1, 2


class UnknownWorkload(Unknown):
    """There is no such workload."""

    thing = "workload"


class UnknownContender(Unknown):
    """There is no such contender."""

    thing = "contender"


class Refusal(click.ClickException):
    """What was asked cannot be done: one line, exit code 2."""

    exit_code = USAGE


class Words(click.Group):
    """A group where words that name no command are those of `run`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or args[0] not in {*self.commands, *ctx.help_option_names}:
            args = ["run", *args]
        return super().parse_args(ctx, args)


json_option = click.option(
    "--json", "path", type=click.Path(path_type=Path, dir_okay=False), default=RESULTS,
    show_default=True, help="The file of JSON lines.",
)  # fmt: skip


@click.group(
    cls=Words,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="\b\n" + "\n".join(f"{one.name:<10}{one.does}" for one in WORKLOADS.values()),
)
def main() -> None:
    """Measure this runtime beside a bare asyncpg program, on a fresh Postgres of its own. Without a command: run."""


@main.command()
@click.argument("workloads", nargs=-1, metavar="[WORKLOAD]...")
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True, help="How often each contender has its turn.")  # fmt: skip
@click.option("--scale", type=click.FloatRange(0, min_open=True), default=1.0, show_default=True, help="Fewer jobs and seconds, for trying out.")  # fmt: skip
@click.option("--contender", "words", multiple=True, metavar="NAME", help="Only this contender; may be repeated.")  # fmt: skip
@json_option
def run(
    workloads: Sequence[str], rounds: int, scale: float, words: Sequence[str], path: Path
) -> None:
    """Measure these workloads, or all; every measurement is kept as a JSON line, and a report ends the run."""
    try:
        chosen = [(one, _contenders(one, words)) for one in _chosen(workloads)]
        require_programs()
    except PillarsError as error:
        raise Refusal(str(error)) from error
    records = _run(chosen, rounds=rounds, scale=scale, path=path)
    click.echo("\n" + "\n".join(report_of(Measurements(records))))
    sys.exit(FAILED if any(one.failed for one in records) else DONE)


@main.command()
@json_option
@click.option("--publish", "published", is_flag=True, help="Write docs/benchmarks.md, and the JSON lines beside it.")  # fmt: skip
def report(path: Path, *, published: bool) -> None:
    """Say again what was measured: of every workload its newest run."""
    if not path.exists():
        raise Refusal(f"there is no {path}: run the benchmarks first, or name a file by --json")
    measurements = Measurements(read(path))
    if not published:
        click.echo("\n".join(report_of(measurements)))
        return
    try:
        publish(measurements)
    except PillarsError as error:
        raise Refusal(str(error)) from error
    click.echo(f"written: {PAGE}")


def _chosen(names: Sequence[str]) -> list[Workload]:
    for name in names:
        if name not in WORKLOADS:
            raise UnknownWorkload.among(name, WORKLOADS)
    return [one for name, one in WORKLOADS.items() if name in names or not names]


def _contenders(workload: Workload, words: Sequence[str]) -> list[str]:
    for word in words:
        if word not in workload.contenders:
            raise UnknownContender.among(word, workload.contenders)
    return [name for name in workload.contenders if name in words or not words]


def _run(
    chosen: Sequence[tuple[Workload, Sequence[str]]], *, rounds: int, scale: float, path: Path
) -> list[Record]:
    records = list[Record]()

    def keep(record: Record) -> None:
        records.append(record)
        append(path, record)
        click.echo(live(record, rounds))

    async def play_all(started: Server, folder: Path) -> None:
        run = Run.begin(postgres=await started.version(), scale=scale)
        bench = Bench(started, folder, scale=scale)
        for workload, contenders in chosen:
            await play(bench, run, workload, contenders, rounds=rounds, keep=keep)

    with tempfile.TemporaryDirectory(prefix="pillars-bench-") as name:
        folder = Path(name)
        folder.chmod(0o711)  # the user that Postgres runs as, where we are root, passes through
        with server(folder / "postgres") as started:
            asyncio.run(play_all(started, folder))
    return records
