"""Compile a type, once, to the check of its values.

msgspec describes the type; each kind of description has its check.
"""

import dataclasses
import datetime as dt
import decimal
import enum
import uuid
from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import inspect as types

from pillars.codec import checks
from pillars.codec.checks import Check, Misfit
from pillars.codec.plain import is_model, one_line, plain, unplain
from pillars.errors import DefinitionError

__all__ = ["Fit", "fit"]


@dataclasses.dataclass(frozen=True, slots=True)
class Fit:
    """One type: its name for people, its check, and whether only reading back proves that it fits."""

    annotation: Any
    name: str
    check: Check
    proof: bool


def fit(annotation: Any) -> Fit:
    """Compile a type; DefinitionError where JSON cannot carry it."""
    if annotation is object:
        annotation = Any
    try:
        described = types.type_info(annotation)
        compiler = _Compiler()
        check = compiler.check(described)
        # Finds what the description does not show, such as an enum of mixed values.
        msgspec.json.Decoder(annotation, dec_hook=unplain)
    except (TypeError, ValueError, NameError, AttributeError, RuntimeError) as error:
        raise DefinitionError(one_line(str(error))) from None
    return Fit(annotation, _name(described), check, compiler.proof)


_SCALARS: dict[type[types.Type], tuple[type, str, Check]] = {
    types.NoneType: (type(None), "None", checks.exactly(type(None), "None")),
    types.BoolType: (bool, "bool", checks.exactly(bool, "bool")),
    types.IntType: (int, "int", checks.a_int),
    types.FloatType: (float, "float", checks.a_float),
    types.StrType: (str, "str", checks.a_str),
    types.BytesType: (bytes, "bytes", checks.exactly(bytes, "bytes")),
    types.ByteArrayType: (bytearray, "bytearray", checks.exactly(bytearray, "bytearray")),
    types.DateTimeType: (dt.datetime, "datetime", checks.a_datetime),
    types.DateType: (dt.date, "date", checks.a_date),
    types.TimeType: (dt.time, "time", checks.a_time),
    types.TimeDeltaType: (dt.timedelta, "timedelta", checks.exactly(dt.timedelta, "timedelta")),
    types.UUIDType: (uuid.UUID, "UUID", checks.a_uuid),
    types.DecimalType: (decimal.Decimal, "Decimal", checks.a_decimal),
}
_COLLECTIONS: dict[type[types.Type], type] = {
    types.ListType: list,
    types.VarTupleType: tuple,
    types.SetType: set,
    types.FrozenSetType: frozenset,
}
_NO_KEYS = (types.NoneType, types.BoolType, types.ByteArrayType)
_CONSTRAINTS = ("gt", "ge", "lt", "le", "multiple_of", "min_length", "max_length", "pattern", "tz")
_NAMES = {kind: name for kind, (_, name, _) in _SCALARS.items()} | {types.AnyType: "Any"}


def _name(described: types.Type) -> str:
    """The type as a person writes it."""
    match described:
        case types.UnionType(types=members):
            return " | ".join(_name(member) for member in members)
        case types.LiteralType(values=values):
            return f"Literal[{', '.join(repr(value) for value in values)}]"
        case types.DictType(key_type=key, value_type=value):
            return f"dict[{_name(key)}, {_name(value)}]"
        case types.VarTupleType(item_type=item):
            return f"tuple[{_name(item)}, ...]"
        case types.TupleType(item_types=items):
            return f"tuple[{', '.join(_name(item) for item in items)}]"
        case types.CollectionType(item_type=item):
            return f"{_COLLECTIONS[type(described)].__name__}[{_name(item)}]"
        case types.Metadata(type=inner):
            return _name(inner)
    kind: type = getattr(described, "cls", type(described))
    return _NAMES.get(type(described), kind.__name__)


class _Compiler:
    """One run over a type; `proof` tells whether a check alone is not enough."""

    def __init__(self) -> None:
        self.proof = False
        # By the description's id, since types refer to themselves.
        self._records: dict[int, Check] = {}

    def check(self, described: types.Type) -> Check:  # noqa: C901 - one arm a kind of type
        if any(getattr(described, name, None) is not None for name in _CONSTRAINTS):
            self.proof = True
        if type(described) in _SCALARS:
            return _SCALARS[type(described)][2]
        match described:
            case types.AnyType():
                return checks.anything
            case types.Metadata(type=inner):
                return self.check(inner)
            case types.UnionType(types=members):
                return _union([self.check(member) for member in members], _name(described))
            case types.EnumType(cls=kind):
                return self._enum(kind)
            case types.LiteralType(values=values):
                return _literal(values, _name(described))
            case types.DictType(key_type=key, value_type=value):
                return _dict(self._key(key), self.check(value), _name(described))
            case types.TupleType(item_types=items):
                return _tuple([self.check(item) for item in items], _name(described))
            case types.CollectionType(item_type=item) if type(described) in _COLLECTIONS:
                return _collection(
                    _COLLECTIONS[type(described)], self.check(item), _name(described)
                )
            case types.CustomType(cls=kind):
                return _custom(kind)
            case (
                types.DataclassType()
                | types.StructType()
                | types.TypedDictType()
                | types.NamedTupleType()
            ):
                return self._record(described)
        raise TypeError(f"JSON cannot carry {_name(described)}")

    def _enum(self, kind: type[enum.Enum]) -> Check:
        for member in kind:
            if type(member.value) is str and (misfit := checks.text(member.value)):
                raise TypeError(f"{kind.__name__}.{member.name} {misfit.reason}")
        if issubclass(kind, enum.Flag):
            self.proof = True  # a combination is no member
        return checks.exactly(kind, kind.__name__)

    def _key(self, described: types.Type) -> Check:
        """Keys are text in JSON: what is not one is told apart only by one plain type."""
        match described:
            case types.StrType() | types.AnyType():
                kind: type = str
            case types.EnumType(cls=kind):
                pass
            case types.LiteralType(values=values) if len({type(value) for value in values}) == 1:
                kind = type(values[0])
            case _ if type(described) in _SCALARS and not isinstance(described, _NO_KEYS):
                kind = _SCALARS[type(described)][0]
            case _:
                raise TypeError(f"JSON cannot carry {_name(described)} as the keys of a dict")
        if kind is not str:
            self.proof = True
        check = self.check(described)

        def exactly(key: Any, depth: int) -> Misfit | None:
            # Unlike a value, a key of a subclass is not written as the type that it is a kind of.
            return check(key, depth) if type(key) is kind else checks.wrong(kind.__name__, key)

        return exactly

    def _record(self, described: Any) -> Check:
        if id(described) in self._records:
            return self._records[id(described)]
        kind: type = described.cls
        self._look_for_losses(kind)
        fields: dict[str, Check] = {}
        required = {field.name for field in described.fields if field.required}
        if isinstance(described, types.TypedDictType):
            check = _typed_dict(kind, fields, required)
        elif isinstance(described, types.NamedTupleType):
            check = _named_tuple(kind, fields)
        else:
            check = _object(kind, fields)
        self._records[id(described)] = check  # before its fields, which may be of its own type
        fields.update((field.name, self.check(field.type)) for field in described.fields)
        return check

    def _look_for_losses(self, kind: type) -> None:
        """Find the fields that msgspec leaves out when it writes, and the code that runs when it reads."""
        lost = [
            field.name
            for field in getattr(kind, "__attrs_attrs__", ())
            if field.name.startswith("_")
        ]
        if dataclasses.is_dataclass(kind):
            lost = [field.name for field in dataclasses.fields(kind) if not field.init]
        if lost:
            raise TypeError(
                f"JSON cannot bring back {kind.__name__}.{lost[0]}, which its __init__ does not take"
            )
        if hasattr(kind, "__post_init__") or hasattr(kind, "__attrs_attrs__"):
            self.proof = True


def _union(members: list[Check], name: str) -> Check:
    def check(value: Any, depth: int) -> Misfit | None:
        nearest = None
        for member in members:
            misfit = member(value, depth)
            if misfit is None:
                return None
            if not misfit.of_type:
                nearest = misfit
        return nearest or checks.wrong(name, value)

    return check


def _literal(values: tuple[Any, ...], name: str) -> Check:
    kinds = {(type(value), value) for value in values}  # Literal[1] is not True

    def check(value: Any, _depth: int) -> Misfit | None:
        kind = type(value)
        if kind in (str, int, bool, type(None)) and (kind, value) in kinds:
            return None
        return checks.wrong(name, value)

    return check


def _dict(key_check: Check, value_check: Check, name: str) -> Check:
    def check(value: Any, depth: int) -> Misfit | None:
        if not issubclass(type(value), dict):
            return checks.wrong(name, value)
        if depth > checks.MAX_DEPTH:
            return checks.too_deep()
        for key, item in value.items():
            misfit = key_check(key, depth)
            if misfit is not None:
                return Misfit(f"as a key: {misfit.reason}", checks.key_step(key))
            misfit = value_check(item, depth + 1)
            if misfit is not None:
                return misfit.under(checks.key_step(key))
        return None

    return check


def _collection(kind: type, item_check: Check, name: str) -> Check:
    def check(value: Any, depth: int) -> Misfit | None:
        if not issubclass(type(value), kind):
            return checks.wrong(name, value)
        return checks.items(value, item_check, depth)

    return check


def _tuple(item_checks: list[Check], name: str) -> Check:
    def check(value: Any, depth: int) -> Misfit | None:
        if not issubclass(type(value), tuple):
            return checks.wrong(name, value)
        if len(value) != len(item_checks):
            return Misfit(f"expected {name}, got {len(value)} items")
        steps = (f"[{index}]" for index in range(len(value)))
        return _fields(zip(steps, item_checks, value, strict=True), depth)

    return check


def _named_tuple(kind: type[Any], fields: dict[str, Check]) -> Check:
    def check(value: Any, depth: int) -> Misfit | None:
        if type(value) is not kind:
            return checks.wrong(kind.__name__, value)
        named: Any = zip(fields.items(), value, strict=True)
        return _fields(((f".{name}", field, item) for (name, field), item in named), depth)

    return check


def _typed_dict(kind: type, fields: dict[str, Check], required: set[str]) -> Check:
    def check(value: Any, depth: int) -> Misfit | None:
        if not issubclass(type(value), dict):
            return checks.wrong(kind.__name__, value)
        for key in value:
            if type(key) is not str or key not in fields:
                return Misfit(f"{kind.__name__} has no such key", checks.key_step(key))
        for key in required:
            if key not in value:
                return Misfit("required, and missing", checks.key_step(key))
        return _fields(
            ((checks.key_step(key), fields[key], item) for key, item in value.items()), depth
        )

    return check


def _object(kind: type, fields: dict[str, Check]) -> Check:
    def check(value: Any, depth: int) -> Misfit | None:
        # Of a subclass, the fields that it adds would be lost.
        if type(value) is not kind:
            return checks.wrong(kind.__name__, value)
        try:
            return _fields(
                ((f".{name}", field, getattr(value, name)) for name, field in fields.items()), depth
            )
        except AttributeError:
            return Misfit(f"is a {kind.__name__} with a field that was never set")

    return check


def _fields(found: Iterable[tuple[str, Check, Any]], depth: int) -> Misfit | None:
    if depth > checks.MAX_DEPTH:
        return checks.too_deep()
    for step, check, value in found:
        misfit = check(value, depth + 1)
        if misfit is not None:
            return misfit.under(step)
    return None


def _custom(kind: type) -> Check:
    if kind is object:
        return checks.anything
    if not isinstance(kind, type) or not is_model(kind):
        raise TypeError(f"JSON cannot carry {kind.__name__}: {checks.INSTEAD}")

    def check(value: Any, depth: int) -> Misfit | None:
        if type(value) is not kind:
            return checks.wrong(kind.__name__, value)
        try:
            dumped = plain(value)
            misfit = checks.anything(dumped, depth)
            if misfit is None and plain(unplain(kind, dumped)) != dumped:
                misfit = Misfit(f"is a {kind.__name__} that JSON brings back changed")
        except (TypeError, ValueError) as error:
            return Misfit(f"{kind.__name__} does not come back from JSON: {one_line(str(error))}")
        return misfit

    return check
