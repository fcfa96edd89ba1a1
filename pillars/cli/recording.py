"""What commands change is written down as what requests change is."""

import os
import pwd
from typing import Any

from pillars.cli import saying
from pillars.errors import DatabaseTrouble
from pillars.store import audit
from pillars.store.audit import Deed
from pillars.store.session import Executor


async def record(executor: Executor, action: str, target: object = None, **details: Any) -> None:
    """Write down what this command did, in the name of the machine's user who gave it."""
    named = None if target is None else str(target)
    await audit.write(executor, Deed(actor=actor(), action=action, target=named, details=details))


async def record_after(
    executor: Executor, action: str, target: object = None, **details: Any
) -> None:
    """As `record`, of what is done whether or not it can be written down: then stderr says so."""
    try:
        await record(executor, action, target, **details)
    except DatabaseTrouble as trouble:
        saying.tell(f"done, but the audit trail has no row of it: {trouble}")


def actor() -> str:
    """`cli:` and the user whose process this is, by the kernel's word rather than a variable's; its number where it has no name."""
    number = os.getuid()
    try:
        return f"cli:{pwd.getpwuid(number).pw_name}"
    except KeyError:
        return f"cli:{number}"
