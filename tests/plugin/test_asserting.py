"""`assert_enqueued` and `assert_not_enqueued`: what they find, and what they say."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from pillars import PayloadError, UsageError, job
from pillars.testing import Jobs

ORDER = UUID("01890a5d-ac96-774b-bcce-b302099a8057")


@job(queue="mail")
async def send_receipt(order_id: UUID, to: str, copies: int = 1) -> str:
    return f"{order_id} {to} {copies}"


@job
async def send_invoice(order_id: UUID) -> None:
    pass


@job
async def broken() -> None:
    raise ValueError("no printer")


async def test_finds_a_job_by_those_arguments_that_are_named(jobs: Jobs) -> None:
    await send_receipt.enqueue(ORDER, "ada@example.com")
    jobs.assert_enqueued(send_receipt)
    jobs.assert_enqueued(send_receipt, to="ada@example.com")
    jobs.assert_enqueued(send_receipt, order_id=ORDER, copies=1)
    jobs.assert_not_enqueued(send_receipt, to="bob@example.com")
    jobs.assert_not_enqueued(send_receipt, copies=2)
    jobs.assert_not_enqueued(send_invoice)


async def test_finds_a_whole_call_by_all_its_arguments(jobs: Jobs) -> None:
    await send_receipt.enqueue(ORDER, to="ada@example.com", copies=2)
    jobs.assert_enqueued(send_receipt.call(ORDER, "ada@example.com", copies=2))
    jobs.assert_not_enqueued(send_receipt.call(ORDER, "ada@example.com"))
    await send_receipt.enqueue(ORDER, to="bob@example.com")
    jobs.assert_enqueued(send_receipt.call(ORDER, "bob@example.com", copies=1))


async def test_finds_a_job_by_the_options_that_are_named(jobs: Jobs) -> None:
    at = datetime(2199, 1, 1, tzinfo=UTC)
    await send_receipt.configure(run_in="2h", priority=3, tags=["vip"]).enqueue(ORDER, "a@b.c")
    await send_receipt.configure(run_at=at, timeout=None).enqueue(ORDER, "d@e.f")
    jobs.assert_enqueued(send_receipt.configure(run_in="2h"), to="a@b.c")
    jobs.assert_enqueued(send_receipt.configure(queue="mail"), times=2)
    jobs.assert_enqueued(send_receipt.configure(priority=3, tags=["vip"]), times=1)
    jobs.assert_enqueued(send_receipt.configure(run_at=at, timeout=None).call(ORDER, "d@e.f"))
    jobs.assert_not_enqueued(send_receipt.configure(run_in="1h"))
    jobs.assert_not_enqueued(send_receipt.configure(queue="default"))
    jobs.assert_not_enqueued(send_receipt.configure(timeout=None), to="a@b.c")


async def test_counts_where_it_is_told_how_often(jobs: Jobs) -> None:
    jobs.assert_enqueued(send_invoice, times=0)
    for _ in range(2):
        await send_invoice.enqueue(ORDER)
    jobs.assert_enqueued(send_invoice, times=2)
    with pytest.raises(AssertionError, match="to be enqueued once, found it twice"):
        jobs.assert_enqueued(send_invoice, times=1)


async def test_says_what_is_enqueued_instead_the_nearest_first(jobs: Jobs) -> None:
    await send_invoice.enqueue(ORDER)
    await send_receipt.enqueue(ORDER, to="eve@example.com", copies=3)
    await send_receipt.configure(run_in="90m").enqueue(ORDER, to="bob@example.com")
    with pytest.raises(AssertionError) as caught:
        jobs.assert_enqueued(send_receipt, to="ada@example.com", copies=1)
    said = str(caught.value).replace(__name__ + ".", "")
    assert said == (
        "expected send_receipt(to='ada@example.com', copies=1) to be enqueued, found none\n"
        "enqueued are, nearest first:\n"
        f"""  send_receipt(order_id=UUID("{ORDER}"), to='bob@example.com') in queue "mail", due in 1h30m (other to)\n"""
        f"""  send_receipt(order_id=UUID("{ORDER}"), to='eve@example.com', copies=3) in queue "mail", due now (other to, copies)\n"""
        f"""  send_invoice(order_id=UUID("{ORDER}")) in queue "default", due now"""
    )


async def test_says_that_nothing_is_enqueued_and_what_has_ended_already(jobs: Jobs) -> None:
    await send_invoice.enqueue(ORDER)
    await jobs.drain()
    with pytest.raises(AssertionError) as caught:
        jobs.assert_enqueued(send_invoice)
    assert str(caught.value).splitlines()[1:] == [
        "nothing is enqueued",
        f"{send_invoice.name} has ended once: completed",
    ]


async def test_says_after_how_many_tries_a_job_waits(jobs: Jobs) -> None:
    await broken.enqueue()
    await jobs.drain(with_failures=True)
    with pytest.raises(AssertionError, match="after 1 of 4 tries: ValueError: no printer"):
        jobs.assert_enqueued(send_invoice)


async def test_says_what_should_not_be_enqueued_and_is(jobs: Jobs) -> None:
    await send_receipt.configure(run_in="2h").enqueue(ORDER, to="ada@example.com")
    with pytest.raises(AssertionError) as caught:
        jobs.assert_not_enqueued(send_receipt.configure(run_in="2h"), to="ada@example.com")
    first, second = str(caught.value).splitlines()
    assert first.endswith("with run_in=2h not to be enqueued, found it once")
    assert second.endswith("""in queue "mail", due in 2h""")


async def test_refuses_what_could_never_be_found(jobs: Jobs) -> None:
    with pytest.raises(UsageError, match="takes no argument too; it takes order_id, to, copies"):
        jobs.assert_not_enqueued(send_receipt, too="ada@example.com")
    with pytest.raises(UsageError, match="expected a job"):
        jobs.assert_enqueued("send_receipt")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"all arguments in \.call"):
        jobs.assert_enqueued(send_invoice.call(ORDER), order_id=ORDER)
    with pytest.raises(UsageError, match="expires_in"):
        jobs.assert_enqueued(send_invoice.configure(expires_in="1h"))
    with pytest.raises(PayloadError):
        jobs.assert_enqueued(send_invoice.call("x"))  # type: ignore[arg-type]


async def test_lists_what_is_enqueued_with_its_arguments_as_the_job_gets_them(jobs: Jobs) -> None:
    first = await send_receipt.enqueue(ORDER, to="ada@example.com")
    await send_invoice.configure(run_in="1h").enqueue(ORDER)
    receipt, invoice = jobs.enqueued()
    assert (receipt.job_id, receipt.state, receipt.queue) == (first.job_id, "ready", "mail")
    assert receipt.arguments == {"order_id": ORDER, "to": "ada@example.com"}
    assert (invoice.state, invoice.delay) == ("scheduled", timedelta(hours=1))
    assert timedelta(minutes=50) < invoice.run_in <= timedelta(hours=1)
    [found] = jobs.enqueued(send_receipt, to="ada@example.com")
    assert found.job_id == receipt.job_id
    assert [one.job_id for one in jobs.enqueued(send_invoice)] == [invoice.job_id]
    assert jobs.enqueued(send_receipt, to="bob@example.com") == []
