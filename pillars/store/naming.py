"""What SQL knows of job names: their defaults, and which names there are."""

from pillars.store.rows import Defaults, DefinedName
from pillars.store.session import Executor
from pillars.store.statements import Statement

DEFAULTS = Statement("jobs/defaults", Defaults)
DEFINED_NAMES = Statement("jobs/defined_names", DefinedName)


async def defaults(executor: Executor, name: str) -> Defaults | None:
    """What an enqueue of this name takes from its definition; None where no process has defined it."""
    found = await executor.rows(DEFAULTS, name)
    return found[0] if found else None


async def defined_names(executor: Executor) -> list[str]:
    """Every name that some process has defined, in order."""
    return [row.name for row in await executor.rows(DEFINED_NAMES)]
