"""Counts that pages share, and the turns in which pages are made."""

from datetime import timedelta

import anyio
import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from pillars.errors import DatabaseTrouble, Trouble
from pillars.web.dashboard import counting
from pillars.web.dashboard.counting import Count, Counted
from pillars.web.dashboard.turns import Turns


class Gated:
    """Counts how often it was asked; answers once it is let."""

    def __init__(self, *, is_open: bool = False) -> None:
        self.calls = 0
        self.begun = anyio.Event()
        self.let = anyio.Event()
        self.trouble: DatabaseTrouble | None = None
        if is_open:
            self.let.set()

    async def __call__(self) -> int:
        self.calls += 1
        answer = self.calls
        self.begun.set()
        await self.let.wait()
        if self.trouble is not None:
            raise self.trouble
        return answer

    def close(self) -> None:
        self.begun, self.let = anyio.Event(), anyio.Event()


async def looked(count: Count[int], into: list[int | None]) -> None:
    into.append((await count.look()).figures)


async def test_all_who_asked_before_a_count_began_take_its_answer() -> None:
    gated, seen = Gated(), list[int | None]()
    count = Count(gated)
    async with anyio.create_task_group() as group:
        group.start_soon(looked, count, seen)
        await gated.begun.wait()
        for _ in range(9):
            group.start_soon(looked, count, seen)
        await anyio.wait_all_tasks_blocked()
        gated.let.set()
    assert seen == [1, *[2] * 9]


async def test_cheap_figures_are_counted_anew_for_who_asks_later() -> None:
    count = Count(Gated(is_open=True))
    assert [(await count.look()).figures for _ in range(3)] == [1, 2, 3]


async def test_dear_figures_rest_until_they_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "CHEAP", -1.0)
    monkeypatch.setattr(counting, "REST", 1e9)
    count = Count(Gated(is_open=True))
    assert [(await count.look()).figures for _ in range(3)] == [1, 1, 1]
    count.forget()
    assert [(await count.look()).figures for _ in range(3)] == [2, 2, 2]


async def test_a_count_that_began_before_it_was_forgotten_is_not_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(counting, "CHEAP", -1.0)
    monkeypatch.setattr(counting, "REST", 1e9)
    gated, seen = Gated(), list[int | None]()
    count = Count(gated)
    async with anyio.create_task_group() as group:
        group.start_soon(looked, count, seen)
        await gated.begun.wait()
        count.forget()
        gated.let.set()
    assert (seen, (await count.look()).figures) == ([1], 2)


async def test_while_dear_figures_are_counted_anew_others_see_the_old_with_their_age(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(counting, "CHEAP", -1.0)
    monkeypatch.setattr(counting, "REST", 0)
    gated, seen = Gated(is_open=True), list[int | None]()
    count = Count(gated)
    await count.look()
    gated.close()
    async with anyio.create_task_group() as group:
        group.start_soon(looked, count, seen)
        await gated.begun.wait()
        with anyio.fail_after(4):
            old: Counted[int] = await count.look()
        assert (old.figures, old.age > timedelta(0)) == (1, True)
        gated.let.set()
    assert seen == [2]


async def test_a_count_that_is_defeated_says_so_and_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "CHEAP", -1.0)
    gated = Gated(is_open=True)
    gated.trouble = DatabaseTrouble(Trouble.LOST, "too slow")
    count = Count(gated)
    assert [(await count.look()).figures for _ in range(2)] == [None, None]
    assert gated.calls == 1


async def test_a_count_that_fails_is_tried_again_by_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(counting, "CHEAP", -1.0)
    gated = Gated(is_open=True)
    gated.trouble = DatabaseTrouble(Trouble.UNREACHABLE, "away")
    count = Count(gated)
    for _ in range(2):
        with pytest.raises(DatabaseTrouble):
            await count.look()
    assert gated.calls == 2


async def test_so_many_pages_are_made_at_once_and_who_waits_too_long_is_told_so() -> None:
    gated = Gated()

    async def page(_request: Request) -> Response:
        await gated()
        return Response()

    request = Request({"type": "http"})
    shown = Turns(2, patience=timedelta(seconds=0.05)).taken(page)

    async def ask() -> None:
        await shown(request)

    async with anyio.create_task_group() as group:
        for _ in range(2):
            group.start_soon(ask)
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(HTTPException) as refused:
            await shown(request)
        gated.let.set()
    assert (refused.value.status_code, gated.calls) == (503, 2)
    assert (await shown(request)).status_code == 200
