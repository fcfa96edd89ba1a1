"""Peers: each has its program and exact versions, and one that cannot be measured is no trouble of the others."""

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bench.peers import __main__ as command, contenders
from bench.peers.environments import Environment, PeerAbsent
from bench.peers.rivals import PEERS, Peer
from bench.peers.stores import in_postgres, in_redis
from bench.running import Bench

PROGRAMS = Path(contenders.__file__).parent
OF_NEXT_CENTURY = Environment(("peer==1.0",), python=(99, 0))


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return cast(Bench, SimpleNamespace(folder=tmp_path))


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_a_peer_has_a_program_of_three_roles_and_exact_versions(peer: Peer) -> None:
    program = (PROGRAMS / f"{peer.name}.py").read_text("utf-8")
    assert "main(fill=fill, insert=insert, drain=drain)" in program
    assert all("==" in one for one in peer.environment.requirements)


def test_each_peer_takes_part_in_each_workload() -> None:
    names = {peer.name for peer in PEERS}
    assert set(contenders.DRAIN) == set(contenders.ENQUEUE) == set(contenders.BULK) == names


async def test_a_peer_that_needs_a_newer_python_is_left_out_by_a_line(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    peer = Peer("later", OF_NEXT_CENTURY, in_postgres("select 0"), jobs=1)
    monkeypatch.setattr(command, "PEERS", [peer])
    assert await command._install(bench, ()) == {"later"}
    said = capsys.readouterr().out
    assert said == "later 1.0 is left out: it needs Python 99.0, and none is on PATH\n"


async def test_a_contender_that_fails_is_told_of_and_leaves_a_record(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    async def measure(_: Bench) -> Mapping[str, float]:
        raise PeerAbsent("its worker has ended too early")

    record = await command._measured(bench, "drain", "peer", 1, measure)
    trouble = "PeerAbsent: its worker has ended too early"
    assert record == {"workload": "drain", "contender": "peer", "round": 1, "trouble": trouble}
    assert capsys.readouterr().out == f"drain 1: peer failed: {trouble}\n"


async def test_without_redis_a_peer_on_redis_is_absent(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PeerAbsent, match="no redis-server on PATH"):
        async with in_redis("dbsize")(bench):
            pass


def test_the_table_has_the_medians_the_fastest_first(capsys: pytest.CaptureFixture[str]) -> None:
    def record(contender: str, rate: float, **more: Any) -> command.Record:
        return {"contender": contender, "figures": {"jobs_per_s": rate, **more}}

    rounds = [record("pillars", 900), record("pillars", 1_100), record("peer", 2_000, wal_bytes=12)]
    command._report("drain", [*rounds, {"contender": "broken", "trouble": "it ended"}])
    lines = capsys.readouterr().out.strip().split("\n")
    assert lines[2:] == [
        "| peer | 2.000 | 2,000 | 12 | - | - | - | - |",
        "| pillars | 1.000 | 1,000 | - | - | - | - | - |",
    ]
