"""The codecs: of a function's arguments and of one value."""

import inspect
import re
import sys
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import msgspec

from pillars.codec.checks import Misfit, key_step
from pillars.codec.fit import Fit, fit
from pillars.codec.plain import one_line, plain, unplain
from pillars.errors import DefinitionError, PayloadError
from pillars.settings.redaction import is_secret

__all__ = ["MAX_PAYLOAD", "WARN_PAYLOAD", "PayloadCodec", "ValueCodec", "large"]

MAX_PAYLOAD = (
    5_000_000  # bytes: a queue is no file store, and every claim of the job moves it again
)
WARN_PAYLOAD = 1_000_000  # bytes: from here on, storing it elsewhere and passing a reference pays

_ABSENT: Any = object()  # stands, in what was read, for an argument whose default applies
_ROOT = "args"
_LEVEL_OF_AN_ARGUMENT = 2  # the object of all arguments is the first
_encoder = msgspec.json.Encoder(enc_hook=plain)


def large(payload: bytes) -> bool:
    """Whether a log line is due about the size."""
    return len(payload) > WARN_PAYLOAD


class PayloadCodec:
    """The arguments of one function, as a JSON object of parameter names.

    `skip` names the parameter that is injected, not passed. Types are looked at on first use, or by
    `prepare()`, since a forward reference may not resolve when the function is defined.
    """

    def __init__(self, function: Callable[..., Any], *, skip: str | None = None) -> None:
        self._function = function
        self._name = _name(function)
        self._parameters = _parameters(function, skip)
        self._ordered = [
            name for name, one in self._parameters.items() if one.kind is not one.KEYWORD_ONLY
        ]
        self._required = frozenset(
            n for n, one in self._parameters.items() if one.default is one.empty
        )
        self._compiled: _Compiled | None = None

    @property
    def parameters(self) -> Mapping[str, inspect.Parameter]:
        """What the function takes, by name, without what is injected."""
        return self._parameters

    def prepare(self) -> None:
        """Compile the types now: DefinitionError for one that JSON cannot carry."""
        self._ready()

    def encode(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes:
        """Bind and write what was passed; defaults are left to apply when the job runs."""
        compiled = self._ready()
        bound = self._bind(args, kwargs)
        for name, value in bound.items():
            misfit = compiled.fits[name].check(value, _LEVEL_OF_AN_ARGUMENT)
            if misfit is not None:
                raise _refusal(_ROOT, misfit.under(f".{name}"))
        payload = _written(bound, _ROOT)
        if compiled.proof:
            self.decode(payload)
        return payload

    def decode(self, payload: bytes | str, *, what: str = _ROOT) -> dict[str, Any]:
        """Read the keyword arguments of the call; `what` names the payload in messages."""
        compiled = self._ready()
        read = _read(compiled.decoder, payload, what, stranger=self._stranger)
        found = msgspec.structs.asdict(read)
        for name in compiled.optional:
            if found[name] is _ABSENT:
                del found[name]
        return found

    def _bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        if not kwargs and len(args) == len(self._ordered) == len(self._parameters):
            return dict(zip(self._ordered, args, strict=True))
        if len(args) > len(self._ordered):
            raise self._misuse(
                f"takes at most {len(self._ordered)} arguments by position, got {len(args)}"
            )
        bound = dict(zip(self._ordered, args, strict=False))
        for name, value in kwargs.items():
            if name in bound:
                raise self._misuse(f"got {name} twice, by position and by name")
            if name not in self._parameters:
                raise self._misuse(f"has no parameter {key_step(name).removeprefix('.')}")
            bound[name] = value
        if not self._required <= bound.keys():
            missing = ", ".join(
                name for name in self._parameters if name in self._required - bound.keys()
            )
            raise self._misuse(f"missing {missing}")
        return bound

    def _stranger(self, name: str) -> str:
        """What is said of an argument that the function does not take."""
        takes = ", ".join(self._parameters) or "none"
        return (
            f"{self._name} takes no argument {key_step(name).removeprefix('.')}; it takes {takes}"
        )

    def _misuse(self, said: str) -> PayloadError:
        fits = self._ready().fits
        optional = (" = ...", "")
        shown = (
            f"{name}: {one.name}{optional[name in self._required]}" for name, one in fits.items()
        )
        return PayloadError(f"{self._name}({', '.join(shown)}): {said}")

    def _ready(self) -> "_Compiled":
        if self._compiled is None:
            fits = {
                name: _fit(self._function, one.annotation, f"{self._name}: parameter {name}")
                for name, one in self._parameters.items()
            }
            self._compiled = _compile(fits, self._required)
        return self._compiled


class ValueCodec:
    """One value, such as a result, by its type; `what` names it in messages."""

    def __init__(self, annotation: Any, *, what: str = "result") -> None:
        self._annotation = annotation
        self._what = what
        self._function: Callable[..., Any] | None = None
        self._compiled: tuple[Fit, msgspec.json.Decoder[Any]] | None = None

    @classmethod
    def returned_by(cls, function: Callable[..., Any]) -> "ValueCodec":
        """What a function returns, resolved on first use; any JSON where it does not say."""
        codec = cls(_signature(function).return_annotation)
        codec._function = function
        return codec

    def prepare(self) -> None:
        """Compile the type now: DefinitionError for one that JSON cannot carry."""
        self._ready()

    def encode(self, value: object) -> bytes:
        fits, _ = self._ready()
        misfit = fits.check(value, 1)
        if misfit is not None:
            raise _refusal(self._what, misfit)
        payload = _written(value, self._what)
        if fits.proof:
            self.decode(payload)
        return payload

    def decode(self, payload: bytes | str) -> Any:
        _, decoder = self._ready()
        return _read(decoder, payload, self._what)

    def _ready(self) -> tuple[Fit, "msgspec.json.Decoder[Any]"]:
        if self._compiled is None:
            where = self._what if self._function is None else f"{_name(self._function)}: its result"
            fits = _fit(self._function, self._annotation, where)
            self._compiled = fits, msgspec.json.Decoder(fits.annotation, dec_hook=unplain)
        return self._compiled


@dataclass(frozen=True, slots=True)
class _Compiled:
    fits: dict[str, Fit]
    decoder: "msgspec.json.Decoder[Any]"
    optional: tuple[str, ...]
    proof: bool


def _compile(fits: dict[str, Fit], required: frozenset[str]) -> _Compiled:
    fields = [
        (name, one.annotation) if name in required else (name, one.annotation, _ABSENT)
        for name, one in fits.items()
    ]
    shape = msgspec.defstruct(
        "Arguments", fields, kw_only=True, forbid_unknown_fields=True, gc=False
    )
    return _Compiled(
        fits=fits,
        decoder=msgspec.json.Decoder(shape, dec_hook=unplain),
        optional=tuple(name for name in fits if name not in required),
        proof=any(one.proof for one in fits.values()),
    )


# --- of functions -------------------------------------------------------------------------------------------


def _name(function: Callable[..., Any]) -> str:
    named = inspect.unwrap(function)
    return f"{named.__module__}.{getattr(named, '__qualname__', type(named).__qualname__)}"


def _signature(function: Callable[..., Any]) -> inspect.Signature:
    if sys.version_info >= (3, 14):  # there, to read an annotation is to run it
        from annotationlib import Format  # pragma: no cover

        return inspect.signature(function, annotation_format=Format.FORWARDREF)  # pragma: no cover
    return inspect.signature(function)


def _parameters(function: Callable[..., Any], skip: str | None) -> dict[str, inspect.Parameter]:
    found = _signature(function).parameters
    for name, one in found.items():
        if one.kind in _REFUSED and name != skip:
            shown, why = _REFUSED[one.kind]
            raise DefinitionError(f"{_name(function)}: {shown.format(name)}: {why}")
    return {name: one for name, one in found.items() if name != skip}


_REFUSED = {
    inspect.Parameter.VAR_POSITIONAL: ("*{}", "arguments are stored by name; take a list instead"),
    inspect.Parameter.VAR_KEYWORD: (
        "**{}",
        "every argument needs a name and a type; take a dict instead",
    ),
    inspect.Parameter.POSITIONAL_ONLY: (
        "{} is positional-only",
        "arguments are stored by name; take the `/` out of the signature",
    ),
}


def _fit(function: Callable[..., Any] | None, annotation: Any, where: str) -> Fit:
    try:
        return fit(_resolved(function, annotation))
    except (NameError, AttributeError, SyntaxError, TypeError) as error:
        said = one_line(str(error))
        raise DefinitionError(f"{where}: its annotation cannot be resolved: {said}") from None
    except DefinitionError as error:
        raise DefinitionError(f"{where}: {error}") from None


def _resolved(function: Callable[..., Any] | None, annotation: Any) -> Any:
    """The type that an annotation means; one that is text is looked up where the function stands."""
    if annotation is inspect.Parameter.empty:
        return Any
    names = getattr(inspect.unwrap(function), "__globals__", {}) if function else {}
    # Each by itself: one name imported for type checkers alone does not spoil the others.
    holder: Any = SimpleNamespace(__annotations__={"it": annotation})
    return typing.get_type_hints(holder, globalns=names, include_extras=True)["it"]


# --- of JSON ------------------------------------------------------------------------------------------------


def _written(value: object, root: str) -> bytes:
    try:
        payload = _encoder.encode(value)
    except (TypeError, ValueError, RecursionError) as error:  # such as an int of 5,000 digits
        raise PayloadError(f"{root}: not JSON: {one_line(str(error))}") from None
    if len(payload) > MAX_PAYLOAD:
        size = f"{len(payload):,} bytes of JSON, at most {MAX_PAYLOAD:,}"
        raise PayloadError(f"{root}: {size}: store it elsewhere and pass a reference")
    return payload


def _read(
    decoder: "msgspec.json.Decoder[Any]",
    payload: bytes | str,
    root: str,
    *,
    stranger: Callable[[str], str] | None = None,
) -> Any:
    try:
        return decoder.decode(payload)
    except RecursionError:
        raise PayloadError(f"{root}: nested too deeply to be read") from None
    except Exception as error:  # noqa: BLE001 - a dataclass's own __post_init__ may raise anything
        raise PayloadError(_explained(error, root, stranger)) from None


def _refusal(root: str, misfit: Misfit) -> PayloadError:
    return PayloadError(f"{root}{misfit.path}: {misfit.reason}")


_MESSAGE = re.compile(r"(?P<said>.*?)(?: - at `\$(?P<path>.*)`)?", re.DOTALL)
_WORDS = re.compile(r"[^\W\d][\w-]*")
_MISSING = re.compile(r"Object missing required field `(?P<name>.*)`", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<name>.*)`", re.DOTALL)


def _explained(error: Exception, root: str, stranger: Callable[[str], str] | None) -> str:
    """What msgspec said, with the path in front: "args.order_id: expected int, got str".

    `stranger` says it of a name that does not belong into the outermost object.
    """
    if not isinstance(error, msgspec.MsgspecError):
        return f"{root}: {type(error).__name__}: {one_line(str(error))}"
    match = _MESSAGE.fullmatch(str(error))
    said, path = match.group("said", "path") if match else (str(error), None)
    if stranger and not path and (named := _UNKNOWN.fullmatch(said)):
        return stranger(named["name"])
    place = root + (path or "")
    for pattern, meaning in (
        (_MISSING, "required, and missing"),
        (_UNKNOWN, "no such name is known here"),
    ):
        if named := pattern.fullmatch(said):
            return f"{place}{key_step(named['name'])}: {meaning}"
    said = one_line(said.replace("`", ""))
    if not said.startswith("Expected ") and any(map(is_secret, _WORDS.findall(f"{path} {said}"))):
        said = "does not fit, and is not shown"  # what is said of a value may quote it
    return f"{one_line(place)}: {said[:1].lower()}{said[1:]}"
