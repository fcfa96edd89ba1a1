"""Celery on Redis, with hiredis. Redis writes to its disk once a second: less durable than Postgres, for reference only."""

import warnings

from celery import Celery
from celery.platforms import SecurityWarning

from ..child import gate, main, say
from ..marks import Marks
from .calling import call_in_threads

# Tried: pools solo (450 to 640 jobs/s), prefork of 1 and 2 (310 to 450: each job goes through a pipe), threads of 1 and 4
# (250 to 500); prefetch 100, 1000, without limit; acknowledging early (no faster, and a crash loses the job).
app = Celery("bench")
app.conf.update(
    task_acks_late=True,  # a job whose worker dies is run again, as with the others
    task_ignore_result=True,
    worker_disable_rate_limits=True,
    worker_hijack_root_logger=False,
    worker_prefetch_multiplier=100,
    worker_redirect_stdouts=False,
)
warnings.simplefilter("ignore", SecurityWarning)  # whoever runs the benchmark may be root


class Noop:
    marks: Marks


@app.task(name="noop")
def noop(i: int) -> None:
    Noop.marks.mark(i)


async def fill(url: str, *, jobs: int) -> None:
    """By `apply_async` on one producer: there is no call for many that is faster."""
    app.conf.broker_url = url
    with app.producer_or_acquire() as producer:
        producer.connection.ensure_connection()
        await gate()
        for i in range(jobs):
            noop.apply_async(kwargs={"i": i}, producer=producer)
    say(done=jobs)


async def insert(url: str, *, clients: int, seconds: float) -> None:
    app.conf.update(broker_url=url, broker_pool_limit=clients)
    with app.producer_or_acquire() as producer:
        producer.connection.ensure_connection()
    await gate()
    say(done=await call_in_threads(clients, seconds, lambda: noop.apply_async(kwargs={"i": 0})))


async def drain(url: str) -> None:
    Noop.marks = Marks.of_environ()
    app.conf.broker_url = url
    worker = app.Worker(
        pool="solo", loglevel="WARNING", without_gossip=True, without_heartbeat=True, without_mingle=True
    )  # fmt: skip
    await gate()
    worker.start()


if __name__ == "__main__":
    main(fill=fill, insert=insert, drain=drain)
