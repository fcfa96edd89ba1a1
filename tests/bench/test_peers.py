"""Peers: each has its program and exact versions, and one that cannot be measured is no trouble of the others."""

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from bench.command import choose
from bench.peers import contenders
from bench.peers.environments import Environment, PeerAbsent
from bench.peers.rivals import PEERS, Peer
from bench.peers.stores import in_redis
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


async def test_a_peer_that_needs_a_newer_python_is_absent_with_a_line(tmp_path: Path) -> None:
    with pytest.raises(PeerAbsent, match=r"it needs Python 99\.0, and none is on PATH"):
        await OF_NEXT_CENTURY.install(tmp_path / "peer")


async def test_a_peer_that_cannot_be_installed_leaves_nothing_that_would_be_taken_for_it(
    tmp_path: Path,
) -> None:
    for _ in range(2):
        with pytest.raises(PeerAbsent):
            await Environment(("./there-is-no-such-folder",)).install(tmp_path / "peer")


def test_peers_are_measured_only_where_they_are_named() -> None:
    assert not {one.name for one, _ in choose([], [])} & {"peers", "peers-enqueue", "peers-bulk"}
    [(workload, names)] = choose(["peers"], ["pillars", "celery"])
    assert (workload.name, names) == ("peers", ["pillars", "celery"])


async def test_without_redis_a_peer_on_redis_is_absent(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PeerAbsent, match="no redis-server on PATH"):
        async with in_redis("dbsize")(bench):
            pass
