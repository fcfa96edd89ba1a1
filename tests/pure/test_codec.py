"""The codec: JSON brings back what was put in, or it was refused when it was put in."""

import datetime as dt
import enum
import json
import math
import subprocess
import sys
import uuid
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, NewType, Self, TypedDict
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given, strategies as st

from pillars.codec import (
    MAX_PAYLOAD,
    WARN_PAYLOAD,
    PayloadCodec,
    ValueCodec,
    clean_text,
    from_json,
    large,
    to_json,
)
from pillars.errors import DefinitionError, PayloadError

if TYPE_CHECKING:

    class Context: ...


class Colour(enum.StrEnum):
    RED = "red"


class Size(enum.IntEnum):
    BIG = 3


class Permission(enum.Flag):
    READ = 1
    WRITE = 2


class Point(NamedTuple):
    x: int
    y: int = 0


class Address(TypedDict, total=False):
    street: str
    number: int


class Named(TypedDict):
    name: str


@dataclass
class Line:
    sku: str
    count: int
    price: Decimal


@dataclass(slots=True)
class Order:
    id: uuid.UUID
    lines: list[Line]
    note: str | None = None


@dataclass
class Tree:
    value: int
    children: "list[Tree]" = field(default_factory=list)


@dataclass
class Node:
    named: "dict[str, Node]" = field(default_factory=dict)


class Shape(msgspec.Struct, tag=True):
    side: float


@dataclass
class Even:
    number: int

    def __post_init__(self) -> None:
        if self.number % 2:
            raise ValueError(f"{self.number} is odd")


class Hostile:
    def __repr__(self) -> str:
        raise AssertionError

    __str__ = __repr__
    __eq__ = __hash__ = None  # type: ignore[assignment]


class SafeText(str):
    __slots__ = ()


class LibraryUUID(uuid.UUID):
    """As asyncpg's is one."""


class FakeDatetime(dt.datetime):
    """As freezegun's is one."""


class FakeDate(dt.date):
    pass


class Nanoseconds(dt.datetime):
    """As pandas' Timestamp is one."""

    __hash__ = dt.datetime.__hash__

    def __eq__(self, other: object) -> bool:
        return self is other


class NumpyFloat(float):
    __slots__ = ()


UserId = NewType("UserId", int)
NOW = dt.datetime(2026, 11, 21, 10, 30, 0, 123456, tzinfo=dt.UTC)
ID = uuid.UUID("0190c1f0-0000-7000-8000-000000000001")

CARRIED: dict[str, tuple[Any, Any]] = {
    "None": (None, None),
    "bool": (bool, True),
    "int": (int, -3),
    "an int over 64 bits": (int, 2**70),
    "an int over 64 bits, negative, under Any": (Any, -(2**70)),
    "float": (float, 0.1),
    "an int as a float": (float, 3),
    "a large float": (float, -1e300),
    "the largest float under Any": (Any, 9.999999999999998e15),
    "str": (str, "Grüße 🙂 \u2028 \\u0000"),
    "bytes": (bytes, b"\x00\xff"),
    "bytearray": (bytearray, bytearray(b"\x00")),
    "datetime": (dt.datetime, NOW),
    "naive datetime": (dt.datetime, NOW.replace(tzinfo=None)),
    "zoned datetime": (dt.datetime, NOW.astimezone(ZoneInfo("Asia/Kathmandu"))),
    "date": (dt.date, NOW.date()),
    "time": (dt.time, dt.time(1, 2, 3, 4)),
    "timedelta": (dt.timedelta, dt.timedelta(days=-3, microseconds=1)),
    "UUID": (uuid.UUID, ID),
    "Decimal": (Decimal, Decimal("1.10")),
    "enum of text": (Colour, Colour.RED),
    "enum of numbers": (Size, Size.BIG),
    "flags": (Permission, Permission.READ | Permission.WRITE),
    "Literal": (Literal["a", 1], "a"),
    "optional": (int | None, None),
    "union": (int | str | list[int], [1]),
    "NewType": (UserId, UserId(5)),
    "constrained": (Annotated[int, msgspec.Meta(ge=1)], 1),
    "described": (Annotated[list[int], msgspec.Meta(description="d")], [1]),
    "list": (list[int], [1, 2]),
    "bare list": (list, [1, "a", None]),
    "tuple": (tuple[int, str], (1, "a")),
    "tuple of any length": (tuple[int, ...], (1, 2, 3)),
    "set": (set[str], {"a", "b"}),
    "frozenset": (frozenset[int], frozenset({1})),
    "dict": (dict[str, list[int]], {"a b": [1]}),
    "dict of ints": (dict[int, str], {1: "a"}),
    "dict of UUIDs": (dict[uuid.UUID, int], {ID: 1}),
    "dict of enums": (dict[Colour, int], {Colour.RED: 1}),
    "dict of literals": (dict[Literal["a", "b"], int], {"a": 1}),
    "defaultdict": (dict[str, int], defaultdict(int, a=1)),
    "OrderedDict": (dict[str, int], OrderedDict(a=1)),
    "NamedTuple": (Point, Point(1, 2)),
    "TypedDict with all keys": (Named, {"name": "a"}),
    "TypedDict": (Address, {"street": "a"}),
    "dataclass": (Order, Order(ID, [Line("a", 1, Decimal("2.50"))])),
    "a dataclass of itself": (Tree, Tree(1, [Tree(2), Tree(3, [Tree(4)])])),
    "Struct": (Shape, Shape(1.5)),
    "a dataclass that checks": (Even, Even(2)),
    "plain data": (Any, {"a": [1, 2.5, True, None, "x", {"b": []}]}),
    "a list of objects": (list[object], [1, {"a": None}]),
    "plain data as object": (object, [1, {"a": None}]),
}


@pytest.mark.parametrize("case", CARRIED)
def test_a_value_comes_back_as_it_was(case: str) -> None:
    annotation, value = CARRIED[case]
    codec = ValueCodec(annotation)
    payload = codec.encode(value)
    json.loads(payload)
    again = codec.decode(payload)
    assert again == value
    assert codec.decode(payload.decode()) == value
    if not isinstance(value, (int, dict)):
        assert type(again) is type(value)


WRITTEN_AS_ITS_KIND: dict[str, tuple[Any, Any, Any]] = {
    "a kind of str": (str, SafeText("a"), "a"),
    "an enum's member as str": (str, Colour.RED, "red"),
    "an enum's member as int": (int, Size.BIG, 3),
    "a kind of int": (int, type("Number", (int,), {})(7), 7),
    "a kind of float": (float, NumpyFloat(0.5), 0.5),
    "a library's UUID": (uuid.UUID, LibraryUUID(int=ID.int), ID),
    "a kind of datetime": (
        dt.datetime,
        FakeDatetime(2026, 1, 2, 3, 4, 5, 6, dt.UTC),
        dt.datetime(2026, 1, 2, 3, 4, 5, 6, dt.UTC),
    ),
    "a kind of date": (dt.date, FakeDate(2026, 1, 2), dt.date(2026, 1, 2)),
    "a kind of Decimal": (Decimal, type("D", (Decimal,), {})("1.50"), Decimal("1.50")),
    "a NamedTuple as a tuple": (tuple[int, int], Point(1, 2), (1, 2)),
}


@pytest.mark.parametrize("case", WRITTEN_AS_ITS_KIND)
def test_a_subclass_of_a_built_in_comes_back_as_the_declared_type(case: str) -> None:
    annotation, value, expected = WRITTEN_AS_ITS_KIND[case]
    codec = ValueCodec(annotation)
    again = codec.decode(codec.encode(value))
    assert (type(again), again) == (type(expected), expected)


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth - 1):
        value = [value]
    return value


def circle() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


def chain(depth: int) -> Tree:
    return Tree(0, [chain(depth - 1)] if depth else [])


def names(depth: int) -> Node:
    return Node({"a": names(depth - 1)} if depth else {})


def unset() -> Order:
    return object.__new__(Order)


class Odd(str, enum.Enum):  # noqa: UP042 - StrEnum refuses such a member
    """A text whose value is a number."""

    A = "a"

    def __new__(cls, text: str) -> Self:
        member = str.__new__(cls, text)
        member._value_ = 7
        return member


REFUSED: dict[str, tuple[Any, Any, str]] = {
    "a str as an int": (int, "1", ": expected int, got str"),
    "True as an int": (int, True, ": expected int, got bool"),
    "1 as a bool": (bool, 1, ": expected bool, got int"),
    "True as a float": (float, True, ": expected float, got bool"),
    "a float as an int": (int, 1.0, ": expected int, got float"),
    "an int as a str": (str, 1, ": expected str, got int"),
    "None as an int": (int, None, ": expected int, got NoneType"),
    "NaN": (float, math.nan, ": NaN and Infinity are not JSON"),
    "Infinity under Any": (Any, {"a": math.inf}, ".a: NaN and Infinity are not JSON"),
    "a float that jsonb makes an int": (
        Any,
        [1e16],
        "[0]: is a float that Postgres gives back as an int",
    ),
    "a kind of NaN": (float, NumpyFloat("nan"), ": NaN and Infinity are not JSON"),
    "an int that no float equals": (float, 2**53 + 1, ": is an int that no float equals"),
    "an int over every float": (float, 10**400, ": is an int that no float equals"),
    "an int of 5,000 digits": (int, 10**5000, ": not JSON: "),
    "a tuple as a list": (list[int], (1, 2), ": expected list[int], got tuple"),
    "a list as a tuple": (tuple[int, ...], [1], ": expected tuple[int, ...], got list"),
    "a set as a frozenset": (frozenset[int], {1}, ": expected frozenset[int], got set"),
    "a list as a dict": (dict[str, int], [], ": expected dict[str, int], got list"),
    "a list as a fixed tuple": (tuple[int, str], [1, "a"], ": expected tuple[int, str], got list"),
    "a short tuple": (tuple[int, str], (1,), ": expected tuple[int, str], got 1 items"),
    "a wrong item": (list[int], [1, "a"], "[1]: expected int, got str"),
    "a wrong item of a tuple": (tuple[int, str], (1, 2), "[1]: expected str, got int"),
    "a wrong item of a dict": (dict[str, int], {"a b": "c"}, '["a b"]: expected int, got str'),
    "a wrong item under a long key": (
        dict[str, int],
        {"a" * 99: "c"},
        f'["{"a" * 60}"]: expected int',
    ),
    "a wrong key": (dict[int, int], {"1": 1}, '["1"]: as a key: expected int, got str'),
    "an enum's member as a key": (
        dict[int, int],
        {Size.BIG: 1},
        "[...]: as a key: expected int, got Size",
    ),
    "True as a key": (dict[int, int], {True: 1}, "[...]: as a key: expected int, got bool"),
    "an int as a key": (dict, {1: 2}, "[...]: as a key: expected str, got int"),
    "an int as a key under Any": (
        Any,
        {"a": {1: 2}},
        ".a: the keys of JSON are text, got int: annotate it as dict[int, ...]",
    ),
    "a set under Any": (Any, {1}, ": JSON has no set: annotate it as set"),
    "a tuple under Any": (Any, [(1,)], "[0]: JSON has no tuple: annotate it as tuple"),
    "a datetime under Any": (
        Any,
        {"when": NOW},
        ".when: JSON has no datetime: annotate it as datetime",
    ),
    "a dataclass under Any": (
        Any,
        Line("a", 1, Decimal(1)),
        ": JSON has no Line: annotate it as Line",
    ),
    "an enum under Any": (Any, Colour.RED, ": JSON has no Colour: annotate it as Colour"),
    "an object under Any": (
        Any,
        [object()],
        "[0]: JSON cannot carry object: pass its id, or a dataclass",
    ),
    "a hostile object": (Any, Hostile(), ": JSON cannot carry Hostile"),
    "a hostile object as an int": (int, Hostile(), ": expected int, got Hostile"),
    "NUL": (str, "a\0", ": contains NUL (U+0000), which Postgres cannot store"),
    "NUL in a kind of str": (str, SafeText("\0"), ": contains NUL"),
    "NUL under Any": (Any, [{"a": "\0"}], "[0].a: contains NUL"),
    "NUL in a key": (dict[str, int], {"a\0": 1}, '["a\\u0000"]: as a key: contains NUL'),
    "NUL in a key under Any": (Any, {"\0": 1}, '["\\u0000"]: contains NUL'),
    "NUL where None may be": (str | None, "\0", ": contains NUL"),
    "a lone surrogate": (str, "é\ud800", ": contains a lone surrogate"),
    "a lone surrogate in a key": (Any, {"\ud800": 1}, '["\\ud800"]: contains a lone surrogate'),
    "65 deep": (Any, nested(65), "[0]" * 64 + ": is nested over 64 deep"),
    "65 deep, dicts": (
        Any,
        {"a": {"a": nested(63)}},
        ".a.a" + "[0]" * 62 + ": is nested over 64 deep",
    ),
    "dicts over 64 deep": (
        Any,
        json.loads('{"a":' * 65 + "1" + "}" * 65),
        ".a" * 64 + ": is nested over 64",
    ),
    "a list in itself": (list, circle(), "[0]" * 64 + ": is nested over 64 deep"),
    "a tree over 64 deep": (Tree, chain(40), ".children[0]" * 32 + ": is nested over 64 deep"),
    "dicts of a type over 64 deep": (Node, names(40), ".named.a" * 32 + ": is nested over 64 deep"),
    "an offset with seconds": (
        dt.datetime,
        NOW.astimezone(dt.timezone(dt.timedelta(seconds=1172))),
        ": has a UTC offset with seconds",
    ),
    "a datetime as a date": (dt.date, NOW, ": expected date, got datetime"),
    "a date as a datetime": (dt.datetime, NOW.date(), ": expected datetime, got date"),
    "a datetime as a time": (dt.time, NOW, ": expected time, got datetime"),
    "nanoseconds": (
        dt.datetime,
        Nanoseconds(2026, 1, 1),
        ": is finer than a microsecond",
    ),
    "a str as a UUID": (uuid.UUID, str(ID), ": expected UUID, got str"),
    "a float as a Decimal": (Decimal, 1.5, ": expected Decimal, got float"),
    "a str as an enum": (Colour, "red", ": expected Colour, got str"),
    "a text whose value is a number": (str, Odd.A, ": expected str, got Odd"),
    "another word": (Literal["a"], "b", ": expected Literal['a'], got str"),
    "True for 1": (Literal[1], True, ": expected Literal[1], got bool"),
    "none of a union": (int | str, 1.5, ": expected int | str, got float"),
    "a wrong item in a union": (int | list[int], ["a"], "[0]: expected int, got str"),
    "below a constraint": (Annotated[int, msgspec.Meta(ge=1)], 0, ": expected int >= 1"),
    "a TypedDict's unknown key": (Address, {"city": "a"}, ".city: Address has no such key"),
    "a TypedDict's odd key": (Address, {1: "a"}, "[...]: Address has no such key"),
    "a TypedDict's missing key": (Named, {}, ".name: required, and missing"),
    "a TypedDict's wrong item": (Address, {"number": "1"}, ".number: expected int, got str"),
    "a list as a TypedDict": (Address, [], ": expected Address, got list"),
    "a tuple as a NamedTuple": (Point, (1, 2), ": expected Point, got tuple"),
    "a wrong item of a NamedTuple": (Point, Point("1"), ".x: expected int, got str"),  # type: ignore[arg-type]
    "a dict as a dataclass": (Line, {"sku": "a"}, ": expected Line, got dict"),
    "a dataclass's wrong field": (
        Order,
        Order(ID, [Line("a", "1", Decimal(1))]),  # type: ignore[arg-type]
        ".lines[0].count: expected int, got str",
    ),
    "a dataclass's subclass": (
        Tree,
        type("Subtree", (Tree,), {})(1),
        ": expected Tree, got Subtree",
    ),
    "a field never set": (Order, unset(), ": is a Order with a field that was never set"),
    "what reading back refuses": (Even, type("Even", (Even,), {})(2), ": expected Even, got Even"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_would_come_back_changed_is_refused_where_it_is_put_in(case: str) -> None:
    annotation, value, message = REFUSED[case]
    with pytest.raises(PayloadError) as refusal:
        ValueCodec(annotation, what="it").encode(value)
    assert str(refusal.value).startswith(f"it{message}")
    assert "\n" not in str(refusal.value)


def test_what_a_dataclass_refuses_on_reading_is_refused_on_writing() -> None:
    even = Even(2)
    even.number = 3
    with pytest.raises(PayloadError, match=r"^result: 3 is odd"):
        ValueCodec(Even).encode(even)

    def run(number: Even) -> None: ...

    with pytest.raises(PayloadError, match=r"^args\.number: 3 is odd"):
        PayloadCodec(run).encode((even,), {})


def test_sixty_four_deep_is_carried() -> None:
    codec = ValueCodec(Any)
    assert codec.decode(codec.encode(nested(64))) == nested(64)


plain_data = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(min_value=-1e16, max_value=1e16, exclude_min=True, exclude_max=True)
    | st.text(alphabet=st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(alphabet="ab é\\\"'"), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(plain_data)
def test_any_plain_data_comes_back_exactly(value: Any) -> None:
    codec = ValueCodec(Any)
    again = codec.decode(codec.encode(value))
    assert repr(again) == repr(value)


@given(
    st.datetimes(timezones=st.none() | st.just(dt.UTC)),
    st.timedeltas(),
    st.decimals(allow_nan=False),
    st.binary(),
)
def test_any_typed_data_comes_back_exactly(
    when: dt.datetime, span: dt.timedelta, amount: Decimal, blob: bytes
) -> None:
    for kind, value in (
        (dt.datetime, when),
        (dt.timedelta, span),
        (Decimal, amount),
        (bytes, blob),
    ):
        codec = ValueCodec(kind)
        assert codec.decode(codec.encode(value)) == value


@given(
    st.recursive(
        st.text() | st.floats() | st.integers(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_what_is_not_refused_can_be_stored(value: Any) -> None:
    try:
        payload = ValueCodec(Any).encode(value)
    except PayloadError:
        return
    stored = payload.decode()
    assert "\\u0000" not in stored.replace("\\\\", "")
    json.loads(stored, parse_constant=pytest.fail)


# --- types that JSON cannot carry ---------------------------------------------------------------------------


class Mixed(enum.Enum):
    A = 1
    B = "b"


class WithNul(enum.Enum):
    A = "\0"


@dataclass
class Computed:
    a: int
    b: int = field(init=False, default=0)


UNCARRIED: dict[str, tuple[Any, str]] = {
    "a class": (Hostile, "JSON cannot carry Hostile: pass its id, or a dataclass of its fields"),
    "a class within": (dict[str, list[Hostile | None]], "JSON cannot carry Hostile"),
    "a callable": (Callable[[], None], "JSON cannot carry Callable"),
    "an iterable": (Iterable[int], "JSON cannot carry Iterable"),
    "complex": (complex, "JSON cannot carry complex"),
    "raw JSON": (msgspec.Raw, "JSON cannot carry RawType"),
    "two kinds of text": (
        dt.datetime | str,
        "Type unions may not contain more than one str-like type",
    ),
    "an enum of mixed values": (Mixed, "Enums must contain either all str or all int values"),
    "an enum with NUL": (WithNul, "WithNul.A contains NUL"),
    "keys of two kinds": (
        dict[int | str, int],
        "JSON cannot carry int | str as the keys of a dict",
    ),
    "keys of tuples": (
        dict[tuple[int, int], int],
        "JSON cannot carry tuple[int, int] as the keys of a dict",
    ),
    "keys of bools": (dict[bool, int], "JSON cannot carry bool as the keys of a dict"),
    "keys of mixed literals": (
        dict[Literal[1, "1"], int],
        "JSON cannot carry Literal[1, '1'] as the keys",
    ),
    "a field that __init__ does not take": (Computed, "JSON cannot bring back Computed.b"),
    "a name that is nowhere": (
        "Nowhere",
        "its annotation cannot be resolved: name 'Nowhere' is not defined",
    ),
    "a text that is no type": ("int |", "its annotation cannot be resolved: "),
    "a number": (5, ""),
}


@pytest.mark.parametrize("case", UNCARRIED)
def test_a_type_that_json_cannot_carry_is_refused_by_function_parameter_and_type(case: str) -> None:
    annotation, message = UNCARRIED[case]

    def send(order: int) -> None: ...

    send.__annotations__["order"] = annotation
    codec = PayloadCodec(send)
    with pytest.raises(DefinitionError) as refusal:
        codec.prepare()
    name = f"{__name__}.{send.__qualname__}"
    assert str(refusal.value).startswith(f"{name}: parameter order: {message}")
    assert "\n" not in str(refusal.value)


def test_a_result_that_json_cannot_carry_is_refused_by_function() -> None:
    def find() -> Hostile: ...  # type: ignore[empty-body]

    with pytest.raises(DefinitionError, match=r"find: its result: JSON cannot carry Hostile"):
        ValueCodec.returned_by(find).prepare()


# --- a function's arguments ---------------------------------------------------------------------------------


async def send(
    ctx: "Context", order_id: int, to: "str" = "a@example.com", *, lines: "list[Line] | None" = None
) -> "Order | None": ...


SEND = PayloadCodec(send, skip="ctx")


def test_only_what_was_passed_is_stored() -> None:
    assert SEND.encode((42,), {}) == b'{"order_id":42}'
    assert SEND.encode((42, "b"), {"lines": []}) == b'{"order_id":42,"to":"b","lines":[]}'
    assert SEND.encode((), {"to": "b", "order_id": 42}) == b'{"to":"b","order_id":42}'


def test_what_was_stored_are_the_keyword_arguments_of_the_call() -> None:
    lines = [Line("a", 1, Decimal("1.00"))]
    assert SEND.decode(SEND.encode((42,), {"lines": lines})) == {"order_id": 42, "lines": lines}
    assert SEND.decode('{"order_id": 42}') == {"order_id": 42}


def test_a_name_that_only_type_checkers_see_spoils_no_other_parameter() -> None:
    with pytest.raises(DefinitionError, match="parameter ctx: its annotation cannot be resolved"):
        PayloadCodec(send).prepare()


def test_the_result_is_of_the_type_that_the_function_declares() -> None:
    codec = ValueCodec.returned_by(send)
    order = Order(ID, [])
    assert codec.decode(codec.encode(order)) == order
    with pytest.raises(PayloadError, match=r"^result: expected Order \| None, got str"):
        codec.encode("x")


def test_without_an_annotation_any_json_is_carried() -> None:
    def untyped(x, y=1): ...  # type: ignore[no-untyped-def]

    codec = PayloadCodec(untyped)
    assert codec.decode(codec.encode(([1, {"a": None}],), {})) == {"x": [1, {"a": None}]}
    with pytest.raises(
        PayloadError, match=r"^args\.x: JSON has no datetime: annotate it as datetime"
    ):
        codec.encode((NOW,), {})
    assert ValueCodec.returned_by(untyped).encode({"a": 1}) == b'{"a":1}'


def test_a_decorated_function_is_looked_up_where_it_stands() -> None:
    @wraps(send)
    def decorated(*args: Any, **kwargs: Any) -> Any: ...

    assert PayloadCodec(decorated, skip="ctx").encode((1,), {}) == b'{"order_id":1}'


SIGNATURE = "(order_id: int, to: str = ..., lines: list[Line] | None = ...)"
MISBOUND: dict[str, tuple[tuple[Any, ...], dict[str, Any], str]] = {
    "nothing": ((), {}, "missing order_id"),
    "too many": ((1, "a", []), {}, "takes at most 2 arguments by position, got 3"),
    "an unknown name": ((1,), {"form": "a"}, "has no parameter form"),
    "an odd name": ((1,), {"a\nb": "a"}, 'has no parameter ["a\\nb"]'),
    "the injected one": ((1,), {"ctx": None}, "has no parameter ctx"),
    "one twice": ((1,), {"order_id": 2}, "got order_id twice, by position and by name"),
}


@pytest.mark.parametrize("case", MISBOUND)
def test_arguments_that_do_not_bind_are_refused_with_the_signature(case: str) -> None:
    args, kwargs, message = MISBOUND[case]
    with pytest.raises(PayloadError) as refusal:
        SEND.encode(args, kwargs)
    assert str(refusal.value) == f"{__name__}.send{SIGNATURE}: {message}"


def test_an_argument_of_another_type_is_refused_with_its_path() -> None:
    with pytest.raises(PayloadError, match=r"^args\.order_id: expected int, got str$"):
        SEND.encode(("42",), {})
    with pytest.raises(PayloadError, match=r"^args\.lines\[0\]\.count: expected int, got str$"):
        SEND.encode((42,), {"lines": [Line("a", "1", Decimal(1))]})  # type: ignore[arg-type]


TAKES_NO = f"{__name__}.send takes no argument"
UNREAD: dict[str, tuple[bytes | str, str]] = {
    "a wrong type": ('{"order_id": "x"}', "args.order_id: expected int, got str"),
    "deep within": (
        '{"order_id": 1, "lines": [{"sku": "a", "count": 1, "price": "x"}]}',
        "args.lines[0].price: invalid decimal string",
    ),
    "a missing key": ("{}", "args.order_id: required, and missing"),
    "a missing key within": (
        '{"order_id": 1, "lines": [{}]}',
        "args.lines[0].sku: required, and missing",
    ),
    "an unknown key": ('{"order_id": 1, "form": 2}', f"{TAKES_NO} form; it takes order_id, "),
    "an unknown odd key": (
        '{"order_id": 1, "a\\nb`": 2}',
        f'{TAKES_NO} ["a\\nb`"]; it takes order_id, ',
    ),
    "the injected one": ('{"order_id": 1, "ctx": 2}', f"{TAKES_NO} ctx; it takes order_id, "),
    "a list": ("[1]", "args: expected object, got array"),
    "null": ("null", "args: expected object, got null"),
    "a text": ('"x"', "args: expected object, got str"),
    "nothing": ("", "args: input data was truncated"),
    "half": ('{"order_id": 1', "args: input data was truncated"),
    "no JSON": ("order", "args: JSON is malformed"),
    "no UTF-8": (b'{"order_id": "\xff"}', "args"),
    "a surrogate": ('{"order_id": 1, "to": "\ud800"}', "args: UnicodeEncodeError"),
    "an escaped surrogate": ('{"order_id": 1, "to": "\\ud800"}', "args"),
    "a number out of range": ('{"order_id": 1e400}', "args.order_id: number out of range"),
    "many digits": (
        '{"order_id": ' + "1" * 5000 + "}",
        "args.order_id: integer value out of range",
    ),
}


class Closed(msgspec.Struct, forbid_unknown_fields=True):
    sku: str = ""


def test_a_name_that_is_unknown_within_an_argument_is_refused_by_its_path() -> None:
    def take(line: Closed) -> None: ...

    with pytest.raises(PayloadError, match=r"^args\.line\.x: no such name is known here$"):
        PayloadCodec(take).decode('{"line": {"x": 1}}')


@pytest.mark.parametrize("case", UNREAD)
def test_what_cannot_be_read_is_refused_in_one_line_with_a_path(case: str) -> None:
    payload, message = UNREAD[case]
    with pytest.raises(PayloadError) as refusal:
        SEND.decode(payload)
    assert str(refusal.value).replace("JSON", "jSON").startswith(message.replace("JSON", "jSON"))
    assert "\n" not in str(refusal.value)
    assert len(str(refusal.value)) < 1000


def deep(pattern: str) -> list[str]:
    return [pattern % ("[" * count + "]" * count) for count in (2_000, 20_000, 500_000)]


@pytest.mark.parametrize(
    "payload", deep('{"x": %s}') + deep('{"order": {"lines": %s}}') + ['{"x": ' + '{"a":' * 20_000]
)
def test_the_deepest_json_is_a_payload_error(payload: str) -> None:
    def anything(x: Any = None, order: dict[str, Any] | None = None) -> None: ...

    with pytest.raises(PayloadError, match=r"^args: nested too deeply to be read$"):
        PayloadCodec(anything).decode(payload)


def test_the_deepest_json_under_an_unknown_key_is_a_payload_error() -> None:
    def known(line: Tree) -> None: ...

    with pytest.raises(PayloadError, match=r"^args: nested too deeply"):
        PayloadCodec(known).decode('{"line": {"unknown": ' + "[" * 20_000 + "]" * 20_000 + "}}")


def test_a_value_that_only_reading_finds_wrong_is_told_in_one_line() -> None:
    @dataclass
    class Broken:
        a: int

        def __post_init__(self) -> None:
            raise KeyError("a\nb")

    with pytest.raises(PayloadError) as refusal:
        ValueCodec(Broken).decode('{"a": 1}')
    assert str(refusal.value) == "result: KeyError: 'a\\nb'"


KINDS: dict[str, tuple[Callable[..., Any], str]] = {
    "*args": (lambda *rest: rest, r"\*rest: arguments are stored by name; take a list instead"),
    "**kwargs": (lambda **rest: rest, r"\*\*rest: every argument needs a name and a type"),
    "positional-only": (lambda one, /: one, "one is positional-only: arguments are stored by name"),
}


@pytest.mark.parametrize("case", KINDS)
def test_a_parameter_without_a_name_of_its_own_is_refused_at_decoration(case: str) -> None:
    function, message = KINDS[case]
    with pytest.raises(DefinitionError, match=message):
        PayloadCodec(function)


def test_types_are_looked_at_on_first_use_only() -> None:
    codec = PayloadCodec(lambda order: order)
    assert codec._compiled is None
    codec.prepare()
    assert codec._compiled is not None


# --- size ---------------------------------------------------------------------------------------------------


def test_a_payload_over_the_limit_is_refused() -> None:
    codec = ValueCodec(str)
    assert len(codec.encode("x" * (MAX_PAYLOAD - 2))) == MAX_PAYLOAD
    with pytest.raises(
        PayloadError,
        match=r"^result: 5,000,001 bytes of JSON, at most 5,000,000: store it elsewhere",
    ):
        codec.encode("x" * (MAX_PAYLOAD - 1))


def test_a_large_payload_is_told() -> None:
    assert not large(b"x" * WARN_PAYLOAD)
    assert large(b"x" * (WARN_PAYLOAD + 1))


# --- text and plain JSON ------------------------------------------------------------------------------------


@given(st.text(alphabet=st.characters()), st.integers(min_value=0, max_value=200))
def test_any_text_is_made_storable(text: str, limit: int) -> None:
    cleaned = clean_text(text, limit=limit)
    assert len(cleaned) <= limit
    assert "\0" not in cleaned
    cleaned.encode()


def test_clean_text_changes_nothing_that_can_be_stored() -> None:
    assert clean_text("Grüße 🙂\n") == "Grüße 🙂\n"


def test_clean_text_replaces_what_cannot_be_stored() -> None:
    assert clean_text("a\0b\ud800c") == "a\ufffdb\ufffdc"


def test_ten_million_characters_are_cut_with_a_note() -> None:
    cleaned = clean_text("x" * 10_000_000)
    assert len(cleaned) == 64_000
    assert cleaned.endswith("xx… [cut, 10,000,000 characters in all]")


def test_the_runtimes_own_json() -> None:
    text = to_json({"id": ID, "at": NOW, "line": Line("a", 1, Decimal(1)), "name": SafeText("x")})
    assert from_json(text) == {
        "id": str(ID),
        "at": "2026-11-21T10:30:00.123456Z",
        "line": {"sku": "a", "count": 1, "price": "1"},
        "name": "x",
    }


@pytest.mark.parametrize("value", [object(), "\ud800", circle(), {(1,): 2}])
def test_what_is_not_json_is_refused(value: object) -> None:
    with pytest.raises(PayloadError, match=r"^not JSON: "):
        to_json(value)


@pytest.mark.parametrize("text", [b"", b"{", b"\xff", "\ud800", "NaN", "[" * 20_000])
def test_what_cannot_be_parsed_is_refused(text: bytes | str) -> None:
    with pytest.raises(PayloadError, match=r"^not JSON"):
        from_json(text)


# --- pydantic -----------------------------------------------------------------------------------------------


def test_pydantic_is_never_imported() -> None:
    program = (
        "import sys; from pillars.codec import ValueCodec; ValueCodec(int).encode(1); "
        "sys.exit('pydantic' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.fixture
def pydantic() -> Any:
    return pytest.importorskip("pydantic")


def test_a_pydantic_model_comes_back_as_it_was_wherever_it_stands(pydantic: Any) -> None:
    class Item(pydantic.BaseModel):  # type: ignore[misc]
        sku: str = pydantic.Field(alias="SKU")
        price: Decimal
        at: dt.datetime

    @dataclass
    class Basket:
        items: list[Item]
        first: Item | None = None

    item = Item(SKU="a", price="1.10", at=NOW)
    basket = Basket([item], item)
    codec = ValueCodec(Basket)
    assert codec.decode(codec.encode(basket)) == basket


def test_a_pydantic_model_that_would_come_back_changed_is_refused(pydantic: Any) -> None:
    class Item(pydantic.BaseModel):  # type: ignore[misc]
        text: str = ""
        number: int = 0
        ratio: float = 0.0

    class Sub(Item):
        more: int = 0

    codec = ValueCodec(Item)
    for change, message in (
        ({"text": "\0"}, r"\.text: contains NUL"),
        ({"number": "5"}, ": is a Item that JSON brings back changed"),
        (
            {"number": "x"},
            ": Item does not come back from JSON: number: Input should be a valid integer",
        ),
    ):
        with pytest.raises(PayloadError, match=rf"^result{message}"):
            codec.encode(Item().model_copy(update=change))
    for value, name in (({"text": "a"}, "dict"), (Sub(), "Sub")):
        with pytest.raises(PayloadError, match=rf"^result: expected Item, got {name}"):
            codec.encode(value)
    with pytest.raises(PayloadError, match=r"^result: JSON has no Item: annotate it as Item"):
        ValueCodec(Any).encode(Item())


def test_a_payload_that_a_pydantic_model_refuses_is_told_in_one_line(pydantic: Any) -> None:
    class Item(pydantic.BaseModel):  # type: ignore[misc]
        number: int

        @pydantic.model_validator(mode="after")  # type: ignore[untyped-decorator]
        def look(self) -> "Item":
            if self.number > 5:
                raise ValueError("too\nmany")
            return self

    def run(item: Item) -> None: ...

    codec = PayloadCodec(run)
    for payload, message in (
        ('{"item": {"number": "x"}}', "args.item: number: Input should be a valid integer"),
        ('{"item": {"number": 6}}', "args.item: value error, too many"),
        ('{"item": 6}', "args.item: input should be an object"),
    ):
        with pytest.raises(PayloadError) as refusal:
            codec.decode(payload)
        assert str(refusal.value).startswith(message)
        assert "\n" not in str(refusal.value)
