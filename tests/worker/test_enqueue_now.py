"""`enqueue_now` without a connection: code without a loop has its process's loop enqueue."""

import asyncio
import contextvars
import threading
from datetime import timedelta
from uuid import UUID

import anyio
import anyio.to_thread
import pytest

from pillars import (
    Context,
    DatabaseTrouble,
    Handle,
    NotConnected,
    PayloadError,
    UsageError,
    connect,
    job,
)
from pillars.errors import Trouble
from pillars.jobs import connected
from pillars.jobs.crossing import done_by
from pillars.store.database import Database
from stepping import hand, hearing, row
from support import ask, running, until, worker_for

MOMENT, SECOND = timedelta(milliseconds=50), timedelta(seconds=1)


@job(name="mail", unique_key=lambda n: f"mail {n}")
async def mail(n: int) -> int:
    return n


@job(name="parent")
def parent(ctx: Context, n: int) -> str:
    return mail.configure(context=f"of attempt {ctx.attempt}").enqueue_now(n).job_id


async def count(db: str) -> int:
    return int(await ask(db, "select count(*) from pillars.jobs"))


async def test_a_def_job_enqueues_and_it_is_committed_when_that_returns(
    db: str, database: Database
) -> None:
    async with running(worker_for(database, parent)):
        child = await (await parent.enqueue(7)).result(timeout="20s")
    stored = await row(db, UUID(child))
    assert (stored["payload"], stored["context"]) == ('{"n": 7}', "of attempt 1")


async def test_a_plain_thread_enqueues_wakes_a_worker_and_gets_the_id_that_holds_the_key(
    db: str, database: Database
) -> None:
    """A view of a WSGI server, which knows nothing of our context."""
    del database
    handles: list[Handle[int]] = []
    thread = threading.Thread(
        target=lambda: handles.extend(mail.enqueue_now(number) for number in (1, 1, 2))
    )
    async with hand(db) as listener, hearing(listener) as heard:
        thread.start()
        await until(lambda: not thread.is_alive())
        assert handles[0].job_id == handles[1].job_id != handles[2].job_id
        assert await count(db) == 2
        assert "default" in await heard()


async def test_an_argument_that_does_not_fit_is_refused_in_the_thread_itself(
    database: Database,
) -> None:
    del database
    with pytest.raises(PayloadError):
        await asyncio.to_thread(mail.enqueue_now, "seven")  # type: ignore[arg-type]


async def test_on_the_loops_own_thread_it_is_refused_instead_of_waiting_for_itself(
    db: str, database: Database
) -> None:
    del database
    with pytest.raises(UsageError, match=r"enqueue_now of mail: .* write await ….enqueue\(…\)"):
        mail.enqueue_now(1)
    assert await count(db) == 0


def test_outside_app_and_connect_the_message_names_the_connection() -> None:
    with pytest.raises(NotConnected, match=r"configure\(connection=\.\.\.\).*pillars\.connect"):
        mail.enqueue_now(1)


async def test_inside_connect_a_thread_may(db: str) -> None:
    async with connect(db):
        await asyncio.to_thread(mail.enqueue_now, 1)
    assert await count(db) == 1


async def test_connect_opens_nothing_where_this_loop_is_connected_to_that_database(
    db: str, other_db: str, database: Database
) -> None:
    async with connect(db):
        assert connected.current() is database
        async with connect(other_db):
            assert connected.current().address.url == other_db
    await mail.enqueue(1)
    assert await count(db) == 1


async def test_connect_on_another_loop_is_that_loops_own(db: str, database: Database) -> None:
    async def elsewhere() -> None:
        async with connect(db):
            assert connected.current() is not database
            await mail.enqueue(1)

    await asyncio.to_thread(asyncio.run, elsewhere())
    assert connected.current() is database
    assert await count(db) == 1


async def test_blocks_of_several_tasks_share_connections_until_the_last_has_ended(db: str) -> None:
    both, left = asyncio.Barrier(2), asyncio.Event()
    used: list[Database] = []

    async def first() -> None:
        async with connect(db):
            used.append(connected.current())
            await both.wait()
        left.set()

    async def second() -> None:
        async with connect(db):
            used.append(connected.current())
            await both.wait()
            await left.wait()
            await mail.enqueue(1)
            # A plain thread, which has nothing of our context.
            await asyncio.get_running_loop().run_in_executor(None, mail.enqueue_now, 2)
            assert connected.current() is used[0]

    await asyncio.gather(first(), second())
    assert used[0] is used[1]
    assert not used[0].is_open
    assert await count(db) == 2


async def test_a_block_that_begins_while_the_last_one_ends_has_connections_of_its_own(
    db: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a task of the ending block's, which outlives it and still knows its database."""
    ending, go_on = asyncio.Event(), asyncio.Event()

    async def beyond(known: Database) -> None:
        await ending.wait()
        assert not known.serves(db)
        async with connect(db):
            go_on.set()
            await mail.enqueue(1)
            assert connected.current() is not known

    async with asyncio.TaskGroup() as group, connect(db):
        known = connected.current()
        farewell = known.results.close

        async def late() -> None:
            ending.set()
            await go_on.wait()
            await farewell()

        monkeypatch.setattr(known.results, "close", late)
        group.create_task(beyond(known))
    assert await count(db) == 1


async def test_a_block_that_is_left_in_another_context_leaves_nothing_behind(
    db: str, other_db: str
) -> None:
    """As a fixture's may be: set up in one context, torn down in another."""
    block = connect(other_db)
    await block.__aenter__()
    assert connected.current().address.url == other_db
    await contextvars.Context().run(asyncio.create_task, block.__aexit__(None, None, None))
    with pytest.raises(NotConnected):
        connected.current()
    provided = Database(db)
    async with provided.opened():
        with connected.provided(lambda: provided):
            await mail.enqueue(1)
    assert await count(db) == 1


async def test_a_loop_that_is_blocked_is_told_and_does_not_do_it_later() -> None:
    """We hold this thread, and its loop with it, until the other has given up."""
    begun: list[bool] = []
    raised: list[DatabaseTrouble] = []
    loop = asyncio.get_running_loop()

    async def work() -> None:
        begun.append(True)

    def asking() -> None:
        try:
            done_by(loop, work, what="x", instead="", patience=MOMENT)
        except DatabaseTrouble as trouble:
            raised.append(trouble)

    thread = threading.Thread(target=asking)
    thread.start()
    thread.join()
    for _ in range(5):
        await asyncio.sleep(0)
    assert begun == []
    [told] = raised
    assert told.kind is Trouble.UNREACHABLE
    assert "nothing was written" in str(told)


async def test_work_that_was_begun_is_cancelled_and_its_outcome_is_unknown() -> None:
    ended: list[str] = []

    async def work() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            ended.append("cancelled")

    loop = asyncio.get_running_loop()
    with pytest.raises(DatabaseTrouble, match="may have been written") as raised:
        await asyncio.to_thread(lambda: done_by(loop, work, what="x", instead="", patience=SECOND))
    assert raised.value.may_have_happened
    await until(lambda: ended == ["cancelled"])


def test_a_loop_that_ends_meanwhile_is_told() -> None:
    raised: list[BaseException] = []
    begun = threading.Event()

    async def work() -> None:
        begun.set()
        await anyio.sleep_forever()

    def asking(loop: asyncio.AbstractEventLoop) -> None:
        try:
            done_by(loop, work, what="x", instead="")
        except DatabaseTrouble as trouble:
            raised.append(trouble)

    async def process() -> threading.Thread:
        thread = threading.Thread(target=asking, args=(asyncio.get_running_loop(),))
        thread.start()
        await until(begun.is_set)
        return thread

    asyncio.run(process()).join()
    [told] = raised
    assert "(it stops)" in str(told)


async def test_what_the_work_raises_is_raised_in_the_thread() -> None:
    async def work() -> None:
        raise TimeoutError("its own")

    loop = asyncio.get_running_loop()
    with pytest.raises(TimeoutError, match="its own"):
        await asyncio.to_thread(lambda: done_by(loop, work, what="x", instead=""))


def test_after_the_loop_has_closed_it_says_so() -> None:
    loop = asyncio.new_event_loop()
    loop.close()

    async def work() -> None:
        raise AssertionError

    with pytest.raises(NotConnected):
        done_by(loop, work, what="x", instead="")
