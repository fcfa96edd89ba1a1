"""What a command said."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Said:
    """A command's exit code and both its streams."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON document on stdout; nothing else may stand there."""
        return json.loads(self.out)


Run = Callable[..., Awaitable[Said]]
