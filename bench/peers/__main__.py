"""`python -m bench.peers`: the bare loop, this runtime and its peers drain the same jobs in turn, on one server, in one run."""

import asyncio
import json
import statistics
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

import click

from ..running import Bench, Measure
from ..server import server
from ..workloads.draining import DRAIN
from . import contenders
from .environments import PeerAbsent
from .measuring import home
from .rivals import PEERS

OURS = "pillars"
WORKLOADS: Mapping[str, Mapping[str, Measure]] = {
    "drain": {**{name: DRAIN.contenders[name] for name in ("raw", OURS)}, **contenders.DRAIN},
    "enqueue": contenders.ENQUEUE,
    "bulk": contenders.BULK,
}
COLUMNS = {
    "jobs_per_s": "jobs/s",
    "wal_bytes": "WAL bytes",
    "statements": "statements",
    "postgres_cpu_us": "Postgres µs",
    "redis_cpu_us": "Redis µs",
    "worker_cpu_us": "worker µs",
}

Record = dict[str, Any]


@click.command()
@click.option("--rounds", default=2, help="How often each is measured, in turn with the others.")
@click.option("--scale", default=1.0, help="Of the number of jobs, to try out.")
@click.option("--only", multiple=True, help="These contenders alone; may be repeated.")
@click.option(
    "--workload", "workloads", multiple=True, default=["drain"], type=click.Choice(list(WORKLOADS))
)
@click.option("--output", type=click.File("w"), help="Where to write each measurement as a line of JSON.")  # fmt: skip
def main(
    rounds: int, scale: float, only: Sequence[str], workloads: Sequence[str], output: IO[str] | None
) -> None:
    """Measure this runtime beside others, each with its best settings: bench/peers/NAME.py says which were tried."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pillars-bench-")))
        folder.chmod(0o711)  # Postgres does not run as root, and must pass
        bench = Bench(stack.enter_context(server(folder / "pg")), folder, scale)
        asyncio.run(_run(bench, rounds, only, workloads, output))


async def _run(
    bench: Bench, rounds: int, only: Sequence[str], workloads: Sequence[str], output: IO[str] | None
) -> None:
    absent = await _install(bench, only)
    for workload in workloads:
        measures = {
            name: measure
            for name, measure in WORKLOADS[workload].items()
            if name not in absent and (not only or name in only)
        }
        records: list[Record] = []
        for number in range(1, rounds + 1):
            for name, measure in measures.items():
                record = await _measured(bench, workload, name, number, measure)
                records.append(record)
                click.echo(json.dumps(record), file=output) if output else None
        _report(workload, records)


async def _install(bench: Bench, only: Sequence[str]) -> set[str]:
    """Install the peers, tell of each, and return the names of those that cannot be."""
    absent = set()
    for peer in PEERS:
        if only and peer.name not in only:
            continue
        try:
            await peer.environment.install(home(bench, peer))
            click.echo(f"{peer.name} {peer.environment.version}")
        except PeerAbsent as trouble:
            absent.add(peer.name)
            click.echo(f"{peer.name} {peer.environment.version} is left out: {trouble}")
    return absent


async def _measured(bench: Bench, workload: str, name: str, number: int, measure: Measure) -> Record:  # fmt: skip
    """One measurement, or why there is none: one contender's trouble is not the others'."""
    record: Record = {"workload": workload, "contender": name, "round": number}
    try:
        figures = await measure(bench)
    except Exception as trouble:  # noqa: BLE001 - programs of others fail in every way
        click.echo(f"{workload} {number}: {name} failed: {type(trouble).__name__}: {trouble}")
        return {**record, "trouble": f"{type(trouble).__name__}: {trouble}"}
    click.echo(f"{workload} {number}: {name} {figures['jobs_per_s']:,.0f} jobs/s")
    numbers = {key: value for key, value in figures.items() if isinstance(value, int | float)}
    return {**record, "figures": {key: round(value, 3) for key, value in numbers.items()}}


def _report(workload: str, records: Sequence[Record]) -> None:
    """The medians of each contender's figures, the fastest first."""
    by_name: dict[str, list[Mapping[str, float]]] = defaultdict(list)
    for record in records:
        if "figures" in record:
            by_name[record["contender"]].append(record["figures"])
    medians = {
        name: {key: statistics.median(figures[key] for figures in rounds) for key in rounds[0]}
        for name, rounds in by_name.items()
    }
    ours = medians.get(OURS, {}).get("jobs_per_s")
    click.echo(f"\n| {workload} | of {OURS} | " + " | ".join(COLUMNS.values()) + " |")
    click.echo("|---|" + "---:|" * (len(COLUMNS) + 1))
    for name in sorted(medians, key=lambda name: -medians[name]["jobs_per_s"]):
        ratio = f"{medians[name]['jobs_per_s'] / ours:.3f}" if ours else "-"
        cells = [_cell(medians[name].get(key)) for key in COLUMNS]
        click.echo(f"| {name} | {ratio} | " + " | ".join(cells) + " |")
    click.echo()


def _cell(figure: float | None) -> str:
    if figure is None:
        return "-"
    return f"{figure:,.0f}" if figure >= 100 else f"{figure:.3g}"


if __name__ == "__main__":
    main()
