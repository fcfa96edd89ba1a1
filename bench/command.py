"""What can be said to `app bench`, and to `python -m bench`."""

import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path

import click

from pillars.cli.ending import DONE, FAILED, Misuse, ending
from pillars.errors import Unknown

from .machine import Run
from .measurements import Measurements
from .page import PAGE, publish
from .records import Record, append, read
from .report import head, report as report_of, told
from .rounds import play
from .running import Bench, Workload
from .server import Server, require_programs, server
from .workloads import WORKLOADS

HERE = Path(__file__).parent
IN_CHECKOUT = (HERE.parent / "pyproject.toml").exists()
RESULTS = HERE / "results.jsonl" if IN_CHECKOUT else Path("bench-results.jsonl")

Chosen = Sequence[tuple[Workload, Sequence[str]]]
"""Workloads with the names of those contenders that are to be measured."""


class UnknownWorkload(Unknown):
    """There is no such workload."""

    thing = "workload"


class UnknownContender(Unknown):
    """There is no such contender in these workloads."""

    thing = "contender"


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
    epilog="\b\n" + "\n".join(f"{one.name:<15}{one.does}" for one in WORKLOADS.values()),
)
def main() -> None:
    """Measure this runtime beside a bare asyncpg program, on a fresh Postgres of its own.

    Workloads may be named without a command: app bench drain latency. Without any word all are measured but peers, which installs what it measures, and trials.
    """


@main.command()
@click.argument("workloads", nargs=-1, metavar="[WORKLOAD]...")
@click.option(
    "--rounds", type=click.IntRange(1), default=3, show_default=True,
    help="How often each contender has its turn.",
)  # fmt: skip
@click.option(
    "--scale", type=click.FloatRange(0, min_open=True), default=1.0, show_default=True,
    help="Fewer jobs and seconds, for trying out.",
)  # fmt: skip
@click.option(
    "--contender", "contenders", multiple=True, metavar="NAME",
    help="Only this contender; may be repeated.",
)  # fmt: skip
@json_option
@ending
def run(
    *, workloads: Sequence[str], rounds: int, scale: float, contenders: Sequence[str], path: Path
) -> int:
    """Measure workloads; each measurement is kept, and a report ends the run."""
    chosen = choose(workloads, contenders)
    require_programs()
    records = _measure(chosen, rounds=rounds, scale=scale, path=path)
    click.echo("\n" + "\n".join(report_of(Measurements(records))))
    return FAILED if any(one.failed for one in records) else DONE


@main.command()
@json_option
@click.option(
    "--publish", "published", is_flag=True,
    help="Write docs/benchmarks.md of this checkout, and the JSON lines beside it.",
)  # fmt: skip
@ending
def report(*, path: Path, published: bool) -> int:
    """Say again what was measured: of each workload its newest run."""
    if not path.exists():
        raise Misuse(f"there is no {path}; measure first, or name a file: --json PATH")
    measurements = Measurements(read(path))
    if published:
        publish(measurements)
        click.echo(f"written: {PAGE}")
    else:
        click.echo("\n".join(report_of(measurements)))
    return DONE


def choose(workloads: Sequence[str], contenders: Sequence[str]) -> Chosen:
    """The workloads of these names, or all that need no request; of each the contenders of these names, or all."""
    for name in workloads:
        if name not in WORKLOADS:
            raise UnknownWorkload.among(name, WORKLOADS)
    named = [
        one
        for name, one in WORKLOADS.items()
        if name in workloads or (not workloads and not one.on_request)
    ]
    known = {name for one in named for name in one.contenders}
    for name in contenders:
        if name not in known:
            raise UnknownContender.among(name, sorted(known))
    chosen = [
        (one, [name for name in one.contenders if name in contenders or not contenders])
        for one in named
    ]
    return [(one, names) for one, names in chosen if names]


def _measure(chosen: Chosen, *, rounds: int, scale: float, path: Path) -> list[Record]:
    records = list[Record]()

    def keep(record: Record) -> None:
        records.append(record)
        append(path, record)
        click.echo(told(record))

    def begin(workload: str, contender: str, number: int) -> None:
        click.echo(head(workload, contender, number), nl=False)

    async def play_all(started: Server, folder: Path) -> None:
        this = Run.begin(postgres=await started.version(), scale=scale)
        bench = Bench(started, folder, scale=scale)
        for workload, names in chosen:
            await play(bench, this, workload, names, rounds=rounds, begin=begin, keep=keep)

    with tempfile.TemporaryDirectory(prefix="pillars-bench-") as name:
        folder = Path(name)
        folder.chmod(
            0o711
        )  # where we are root, Postgres runs as another user, who must pass through
        with server(folder / "postgres") as started:
            asyncio.run(play_all(started, folder))
    return records
