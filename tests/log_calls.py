"""What the code logs, read from its calls: `log.get("pillars.cron").info(log.Event.CRON_TICKED, schedule=...)`."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pillars
from pillars.log import Event

LEVELS = {"debug", "info", "warning", "error", "critical"}
MODULES = [
    (path, ast.parse(path.read_text("utf-8")))
    for path in sorted(Path(pillars.__file__).parent.rglob("*.py"))
]


@dataclass(frozen=True, slots=True)
class Logged:
    """One call that logs, or what several of one event have in common."""

    event: Event
    levels: frozenset[str]
    loggers: frozenset[str]
    keys: frozenset[str]
    """On every line."""
    sometimes: frozenset[str] = field(default=frozenset())
    spread: bool = False
    """Whether there are keys that the call does not name: `**facts`."""


def calls() -> list[Logged]:
    """Every call that names its event; what is logged under a variable is for other means."""
    return [found for _, module in MODULES for found in _in(module)]


def arguments_of(name: str) -> Iterator[ast.Call]:
    """Every call of a function or method of that name."""
    for _, module in MODULES:
        for one in ast.walk(module):
            if isinstance(one, ast.Call) and ast.unparse(one.func).rpartition(".")[2] == name:
                yield one


def _in(module: ast.Module) -> Iterator[Logged]:
    told = {
        ast.unparse(one.targets[0]): _events(one.value)
        for one in module.body
        if isinstance(one, ast.Assign) and isinstance(one.value, ast.Dict)
    }
    for function in _functions(module):
        for call in ast.walk(function):
            if not isinstance(call, ast.Call) or not call.args:
                continue
            first = call.args[0]
            named = isinstance(first, ast.Subscript) and told.get(ast.unparse(first.value), ())
            for event in named or _events(first, deep=False):
                yield _logged(event, call, function, module)


def _logged(event: Event, call: ast.Call, function: ast.AST, module: ast.Module) -> Logged:
    said = _means(call.func, function, module)
    methods = [one for one in ast.walk(said) if isinstance(one, ast.Attribute)]
    return Logged(
        event,
        frozenset(one.attr for one in methods if one.attr in LEVELS),
        frozenset(_loggers(said, module)),
        frozenset(one.arg for one in call.keywords if one.arg is not None),
        spread=any(one.arg is None for one in call.keywords),
    )


def _events(value: ast.AST, *, deep: bool = True) -> tuple[Event, ...]:
    return tuple(
        Event[one.attr]
        for one in (ast.walk(value) if deep else [value])
        if isinstance(one, ast.Attribute) and ast.unparse(one.value) in ("log.Event", "Event")
    )


def _functions(module: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for one in ast.walk(module):
        if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef):
            yield one


def _means(called: ast.expr, function: ast.AST, module: ast.Module) -> ast.expr:
    """What a call calls, with a variable, an attribute or a function of the module replaced by what it holds."""
    if isinstance(called, ast.Name):
        return _means(_assigned(called, function), function, module)
    if isinstance(called, ast.IfExp):
        return ast.Tuple([_means(one, function, module) for one in (called.body, called.orelse)])
    assert isinstance(called, ast.Attribute), ast.unparse(called)
    held = called.value
    if isinstance(held, ast.Attribute):  # self._log
        held = _assigned(held, module)
    elif isinstance(held, ast.Call) and isinstance(held.func, ast.Name):  # _log()
        [maker] = [one for one in _functions(module) if one.name == held.func.id]
        held = next(
            one.value for one in ast.walk(maker) if isinstance(one, ast.Return) and one.value
        )
    return ast.Attribute(held, called.attr)


def _assigned(name: ast.expr, where: ast.AST) -> ast.expr:
    [value] = [
        one.value
        for one in ast.walk(where)
        if isinstance(one, ast.Assign) and ast.unparse(one.targets[0]) == ast.unparse(name)
    ]
    return value


def _loggers(said: ast.AST, module: ast.Module) -> Iterator[str]:
    """The names that `log.get` is given; where it is given a field, what its class is made with."""
    for one in ast.walk(said):
        if isinstance(one, ast.Call) and ast.unparse(one.func) == "log.get":
            [name] = one.args
            if isinstance(name, ast.Constant):
                yield str(name.value)
                continue
            [kind] = [held.name for held in module.body if isinstance(held, ast.ClassDef)]
            yield from (ast.literal_eval(made.args[0]) for made in arguments_of(kind))
