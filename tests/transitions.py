"""How the state of a job changes: the one table, which docs/concepts.md draws and tests/store/test_transitions.py tries out."""

from typing import NamedTuple


class Transition(NamedTuple):
    """What happens to a job in `before`, and the state that it has then."""

    before: str
    happens: str
    after: str


NOTHING = "[*]"
"""Before a job was enqueued, as state diagrams write it."""

TRANSITIONS = [
    Transition(*words)
    for words in (
        (NOTHING, "enqueue", "ready"),
        (NOTHING, "enqueue for later", "scheduled"),
        (NOTHING, "tick behind a running job", "waiting"),
        ("scheduled", "its time comes", "ready"),
        ("scheduled", "retry by hand", "ready"),
        ("scheduled", "cancel", "cancelled"),
        ("scheduled", "pause", "paused"),
        ("ready", "claim", "running"),
        ("ready", "nobody defines its name", "waiting"),
        ("ready", "its name is paused", "waiting"),
        ("ready", "cancel", "cancelled"),
        ("ready", "expire", "expired"),
        ("ready", "pause", "paused"),
        ("waiting", "its name is defined", "ready"),
        ("waiting", "its name is resumed", "ready"),
        ("waiting", "the job before it ends", "ready"),
        ("waiting", "cancel", "cancelled"),
        ("waiting", "expire", "expired"),
        ("waiting", "pause", "paused"),
        ("paused", "resume", "ready"),
        ("paused", "resume where it runs", "running"),
        ("paused", "cancel", "cancelled"),
        ("paused", "expire", "expired"),
        ("running", "return", "completed"),
        ("running", "fail, tries left", "scheduled"),
        ("running", "fail, no tries left", "failed"),
        ("running", "snooze", "scheduled"),
        ("running", "drain", "scheduled"),
        ("running", "release", "ready"),
        ("running", "its worker dies", "scheduled"),
        ("running", "its worker dies once too often", "failed"),
        ("running", "end as asked", "cancelled"),
        ("running", "rest as asked", "paused"),
        ("failed", "retry by hand", "ready"),
        ("cancelled", "retry by hand", "ready"),
        ("expired", "retry by hand", "ready"),
    )
]
