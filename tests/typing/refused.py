"""What type checkers must refuse: each line marked `# wrong` is an error, and no other line is."""

from pillars import Context, job
from pillars.testing import Jobs


@job
async def with_context(ctx: Context, order_id: int, to: str = "a@example.com") -> str:
    return f"{ctx.attempt} {order_id} {to}"


@job(queue="mail")
async def without_context(order_id: int) -> int:
    return order_id


@job
def in_a_thread(path: str) -> bytes:
    return path.encode()


@job
async def that_completes(ctx: Context) -> None:
    await ctx.complete(3)  # wrong
    ctx.complete_now(3)  # wrong


async def use() -> None:
    await with_context.enqueue("42")  # wrong
    await with_context.enqueue()  # wrong
    await with_context.enqueue(42, cc="x")  # wrong
    await without_context.enqueue("42")  # wrong
    await in_a_thread.enqueue(42)  # wrong
    with_context.enqueue_now("42")  # wrong
    without_context.configure(queue="mail").enqueue_now()  # wrong
    await in_a_thread.enqueue_now("x")  # wrong
    without_context.call(order="x")  # wrong
    await with_context.configure(queue="mail").enqueue("42")  # wrong
    text: str = await (await without_context.enqueue(1)).result()  # wrong
    with_context.configure(queue=1)  # wrong
    print(text)


async def test(jobs: Jobs) -> None:
    number: str = await jobs.run(without_context.call(1))  # wrong
    await jobs.run(without_context)  # wrong
    await jobs.drain(failures=True)  # wrong
    jobs.assert_enqueued("jobs.mail.send")  # wrong
    print(number)
