"""What type checkers must accept."""

from typing import assert_type

from pillars import Call, Context, Handle, enqueue_many, job
from pillars.testing import Jobs, Ran, SyncJobs


@job
async def with_context(ctx: Context, order_id: int, to: str = "a@example.com") -> str:
    return f"{ctx.attempt} {order_id} {to}"


@job(queue="mail", max_attempts=5, timeout="2m")
async def without_context(order_id: int) -> int:
    return order_id


@job(timeout=None)
def in_a_thread(path: str) -> bytes:
    return path.encode()


@job
def in_a_thread_with_context(ctx: Context, path: str) -> int:
    return len(path) + ctx.attempt


@job
async def that_completes(ctx: Context) -> None:
    async with ctx.connection() as connection:
        await ctx.complete({"rows": 3}, connection=connection)


@job
def that_completes_in_a_thread(ctx: Context, session: str) -> None:
    ctx.complete_now({"rows": 3}, connection=session)


async def use() -> None:
    handle = await with_context.enqueue(42, to="b@example.com")
    assert_type(handle, Handle[str])
    assert_type(await handle.result(timeout="30s"), str)
    assert_type(await (await without_context.enqueue(order_id=1)).result(), int)
    assert_type(await (await in_a_thread.enqueue("x")).result(), bytes)
    assert_type(await (await in_a_thread_with_context.enqueue("x")).result(), int)
    assert_type(without_context.call(1), Call[int])
    configured = with_context.configure(run_in="2h", priority=10, timeout=None)
    assert_type(await configured.enqueue(42), Handle[str])
    assert_type(with_context.enqueue_now(42, to="b@example.com"), Handle[str])
    assert_type(without_context.configure(queue="mail").enqueue_now(order_id=1), Handle[int])
    assert_type(in_a_thread.enqueue_now("x"), Handle[bytes])
    assert_type(
        await enqueue_many(without_context.call(number) for number in range(3)), list[Handle[int]]
    )
    assert_type(without_context.handle("01890a5d-ac96-774b-bcce-b302099a8057"), Handle[int])


async def test(jobs: Jobs, sync_jobs: SyncJobs) -> None:
    assert_type(await jobs.run(with_context.call(42)), str)
    assert_type(await jobs.run(without_context.configure(queue="mail").call(1)), int)
    assert_type(sync_jobs.run(in_a_thread.call("x")), bytes)
    assert_type(await jobs.drain(with_failures=True), list[Ran])
    assert_type(sync_jobs.run_one(), Ran | None)
    jobs.assert_enqueued(with_context, times=1, order_id=42)
    jobs.assert_not_enqueued(with_context.configure(run_in="2h").call(42))
