"""Every statement that the runtime declares, by the name of its file."""

import importlib
import pkgutil
from typing import Any

import pillars.store
from pillars.store.statements import Portable, Statement


def declared() -> dict[str, Statement[Any]]:
    """The module constants of `pillars.store`; of a portable one both twins."""
    found: dict[str, Statement[Any]] = {}
    for module in pkgutil.iter_modules(pillars.store.__path__, "pillars.store."):
        for value in vars(importlib.import_module(module.name)).values():
            if isinstance(value, Portable):
                found |= {one.name: one for one in (value.numbered, value.named)}
            elif isinstance(value, Statement):
                found[value.name] = value
    return found
