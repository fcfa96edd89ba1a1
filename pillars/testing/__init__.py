"""What an app's own tests import. The fixtures come by themselves, from the pytest plugin in `pillars.testing.plugin`."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pillars.testing.jobs import Jobs as Jobs, SyncJobs as SyncJobs
    from pillars.testing.telling import EnqueuedJob as EnqueuedJob, Ran as Ran

# Where each public name lives; imported when it is first asked for, so that a run of pytest without us loads none of it.
HOMES = {
    "EnqueuedJob": "pillars.testing.telling",
    "Jobs": "pillars.testing.jobs",
    "Ran": "pillars.testing.telling",
    "SyncJobs": "pillars.testing.jobs",
}


def __getattr__(name: str) -> Any:
    if name not in HOMES:
        raise AttributeError(f"module 'pillars.testing' has no attribute {name!r}")
    return getattr(import_module(HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(HOMES)
