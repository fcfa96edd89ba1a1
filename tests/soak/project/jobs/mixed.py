"""Jobs that end in each way."""

import anyio

from pillars import Context, Retry, job


@job(name="done")
async def done(ctx: Context, number: int) -> int:
    async with ctx.connection() as connection:
        return int(await connection.fetchval("select $1::int", number))


@job(name="thread")
def thread(number: int) -> int:
    return number


@job(name="again")
async def again(ctx: Context, number: int) -> int:
    if ctx.attempt == 1:
        raise Retry(after="50ms")
    return number


@job(name="fails", max_attempts=1)
async def fails(number: int) -> None:
    raise ValueError(number)


@job(name="late", max_attempts=1, timeout="100ms")
async def late(number: int) -> None:
    await anyio.sleep_forever()


@job(name="held")
async def held(number: int) -> None:
    await anyio.sleep_forever()
