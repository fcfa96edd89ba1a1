"""The jobs of a shop, for pictures: they do nothing, and some of them cannot."""

import anyio

from pillars import Context, Retry, every, job


@job(queue="mail", max_attempts=1)
async def send_receipt(order_id: int, to: str) -> str:
    """Refused where there is no such mailbox."""
    if to.endswith("@shop.invalid"):
        raise ConnectionRefusedError(f"550 {to}: no such mailbox")
    return f"order {order_id}: sent to {to}"


@job(max_attempts=2, backoff="0s")
async def charge(order_id: int, cents: int) -> None:
    """Fails at once, twice."""
    raise PermissionError(
        f"card of order {order_id} declined for {cents / 100:.2f}: insufficient funds"
    )


@job(max_attempts=5)
async def sync_stock(warehouse: str) -> None:
    """To be tried again later."""
    raise Retry(f"{warehouse} answered 503", after="25m")


@job(queue="reports", timeout="2h")
async def build_report(ctx: Context, month: str) -> None:
    """Runs for as long as anybody looks."""
    ctx.log.info("report.begun", month=month)
    await anyio.sleep_forever()


@job(keep="failed")
async def fetch_rates() -> int:
    """Completes."""
    return 31


rates = every("10s", fetch_rates, name="shop.rates")
stock = every("15m", sync_stock.call("Rotterdam"), name="shop.stock")
