"""A job's function, called in a thread of its own."""

from collections.abc import Callable
from functools import partial
from typing import Any

import anyio
import anyio.to_thread


async def in_a_thread(
    function: Callable[..., Any], kwargs: dict[str, Any], limiter: anyio.CapacityLimiter
) -> Any:
    """Call it there, and return or raise what it does; a thread whose caller is cancelled goes on by itself."""
    returned, raised = await anyio.to_thread.run_sync(
        partial(_called, function, kwargs), limiter=limiter, abandon_on_cancel=True
    )
    if raised is None:
        return returned
    try:
        raise raised
    finally:
        del raised  # its traceback has this frame


def _called(
    function: Callable[..., Any], kwargs: dict[str, Any]
) -> tuple[Any, BaseException | None]:
    """What a function returned or raised: raised across threads, a hostile exception would end whoever looks at it there."""
    try:
        return function(**kwargs), None
    except BaseException as error:  # noqa: BLE001 - raised again in the attempt
        return None, error
