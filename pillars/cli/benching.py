"""`app bench`: finds the benchmarks, within an installed package or beside it in the checkout, and passes the words on."""

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from pillars.errors import UsageError

CHECKOUT = Path(__file__).parent.parent.parent
SHIPPED = "pillars.bench"  # a wheel has them there


def run(words: Sequence[str]) -> int:
    """Do as `python -m bench` with these words; returns the exit code."""
    code = _command().main.main(list(words), prog_name="app bench", standalone_mode=False)
    return int(code or 0)


def _command() -> ModuleType:
    if find_spec(SHIPPED) is not None:
        return import_module(f"{SHIPPED}.command")
    if not (CHECKOUT / "bench" / "command.py").exists():
        raise UsageError(
            "the benchmarks are not installed here; they come with the wheel and with a checkout of three-pillars"
        )
    sys.path.insert(0, str(CHECKOUT))
    return import_module("bench.command")
