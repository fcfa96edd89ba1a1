"""Each statement of the runtime fails once in each way, while the work goes on that runs it; then the world is as it should be."""

import asyncio
import gc
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from declared import declared
from faults.striking import (
    CANCELLED,
    FAULTS,
    FAULTS_OF_COMMITTING,
    FAULTS_OF_CONNECTING,
    KINDS,
    PREPARE,
    Fault,
    Struck,
    cancelled,
    points_of,
)
from faults.works import DAILY, GROUPS, Work
from faults.world import HERE, World, world

from pillars.store import enqueueing
from pillars.store.pool import Address
from pillars.testing.house import House
from pillars.worker import guarding

WAYS = list(dict.fromkeys([*KINDS, *FAULTS_OF_CONNECTING]))
MOST_TOLD = {"crowd": 6}  # one statement of many clients
UNSTRUCK = {
    "jobs/insert_jobs_named": "the twin of jobs/insert_jobs, for connections of other drivers, which are not ours to strike",
    "jobs/complete_named": "the twin of jobs/complete",
    "session/act_named": "the twin of session/act",
    "session/take_role_named": "the twin of session/take_role",
    "audit/note_system_named": "the twin of audit/note_system",
    "session/take_role": "the next statement after session/act, where a role is configured",
    "session/protected": "asked before a transaction that is lent, which it fails with",
    "session/touched": "the last statement of a transaction that is lent, whose COMMIT is struck",
    "session/own_path": "a part of making a connection, which is struck as a whole",
    "session/their_path": "the first statement of a transaction that is lent, whose BEGIN is struck",
    "ledger/hold_off_vacuum": "of the runtime's own migrations, which have run: those of an app are struck",
    "pooler/writes": "asked behind a pooler of several servers, as a part of making a connection",
    "roles/in_use": "of app migrate alone, which is struck in what it does",
    "roles/steps": "of app migrate --roles alone: each step is a transaction and safe to repeat",
} | {
    name: "what the tests of apps run: no pillar does"
    for name in declared() if name.startswith("testing/")
}  # fmt: skip


@pytest.fixture
def worlds(_pillars_house: House, _striking: None) -> Iterator[list[str]]:
    """A database for each kind of fault: the worlds live at once."""
    with ExitStack() as databases:
        yield [databases.enter_context(_pillars_house.database()) for _ in WAYS]


@pytest.fixture
def _striking(monkeypatch: pytest.MonkeyPatch) -> None:
    dial = Address._dial

    async def dialled(address: Address, *args: Any, **kwargs: Any) -> Any:
        fault = points_of(address.url).due("connect")
        if fault is None:
            return await dial(address, *args, **kwargs)
        return await fault(None, partial(dial, address, *args, **kwargs))

    def guard(*args: Any, **kwargs: Any) -> guarding.Guard:
        return guarding.Guard(*args, **kwargs, end=HERE.get().fenced)

    monkeypatch.setattr("pillars.store.dialling.Ours", Struck)
    monkeypatch.setattr(Address, "_dial", dialled)
    monkeypatch.setattr("pillars.worker.pillar.Guard", guard)
    monkeypatch.setattr(enqueueing, "COPY_FROM", 5)
    monkeypatch.setattr("pillars.worker.attempts.AFTER_DRAIN", timedelta(0))
    monkeypatch.setattr("pillars.worker.crew.AFTER_DRAIN", timedelta(0))


def fault_of(w: World, work: Work, name: str, kind: str) -> Fault | None:
    """None where this kind is none of this statement's."""
    if name == "connect":
        return FAULTS_OF_CONNECTING.get(kind)
    if kind == CANCELLED:
        who = work.points[name]
        return (
            None
            if who == "nobody"
            else cancelled(lambda: w.loop.call_soon_threadsafe(w.cancel, who))
        )
    return (FAULTS_OF_COMMITTING if name == "commit" else FAULTS).get(kind)


async def strike(w: World, work: Work, name: str, kind: str, nth: int) -> None:
    """One case."""
    fault = fault_of(w, work, name, kind)
    if fault is None:
        return
    w.begin(f"{work.name}, {name}, {kind}", w.points.arm(name, fault, nth=nth))
    try:
        await work.do(w)
        await w.struck()
        await w.served()
    except (Exception, ExceptionGroup) as error:  # noqa: BLE001 - the other cases have their turn
        w.tell(repr(error))
    w.points.disarm()
    await w.rest()
    if kind in work.quiet and w.troubles:
        w.tell(f"a client was told of it: {w.troubles}")
    if len(w.troubles) > MOST_TOLD.get(work.name, 1):
        w.tell(f"one fault, and clients met more trouble: {w.troubles}")


async def live(url: str, group: str, kind: str, folder: Path) -> list[str]:
    """Everything that went wrong in a world where all statements of a group fail so."""
    async with world(url, *DAILY, pooled=group == "pooled") as w:
        for work in GROUPS[group].works:
            for name in work.points:
                for nth in work.nths:
                    await strike(w, work, name, kind, nth)
    return await w.judged(folder)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("group", GROUPS)
async def test_no_fault_at_any_statement_breaks_a_promise(
    worlds: list[str], tmp_path: Path, group: str
) -> None:
    unheard: list[str] = []
    loop = asyncio.get_running_loop()

    def hear(_loop: object, context: dict[str, Any]) -> None:
        world = HERE.get(None)
        unheard.append(f"{world.case if world else 'afterwards'}: {context}")

    loop.set_exception_handler(hear)
    lives = (live(url, group, kind, tmp_path) for url, kind in zip(worlds, WAYS, strict=True))
    wrong = [one for found in await asyncio.gather(*lives) for one in found]
    gc.collect()
    await asyncio.sleep(0)
    assert not wrong + unheard, "\n\n".join(wrong + unheard)


def test_each_statement_of_the_runtime_is_struck_or_has_a_reason() -> None:
    struck = {name for group in GROUPS.values() for work in group.works for name in work.points}
    known = {*declared(), PREPARE}
    assert known - struck == UNSTRUCK.keys()
