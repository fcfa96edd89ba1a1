"""Prometheus' text format, version 0.0.4: https://prometheus.io/docs/instrumenting/exposition_formats/."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from pillars.service.tally import BOUNDS, Times

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Kind: TypeAlias = Literal["counter", "gauge", "histogram"]
Samples: TypeAlias = Mapping[tuple[str, ...], float | Times]
"""By the values of the labels."""

_IN_HELP = str.maketrans({"\\": "\\\\", "\n": "\\n"})
_IN_VALUE = str.maketrans({"\\": "\\\\", "\n": "\\n", '"': '\\"'})


@dataclass(frozen=True, slots=True)
class Family:
    """One metric with its samples."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    help: str
    samples: Samples

    def marked(self, label: str, value: str) -> "Family":
        """With one label more."""
        samples = {(*values, value): sample for values, sample in self.samples.items()}
        return replace(self, labels=(*self.labels, label), samples=samples)


Blocks: TypeAlias = dict[str, list[str]]
"""The lines of each family, by its name; the first two describe it."""


def exposed(families: Iterable[Family]) -> bytes:
    """The families in their order, each one's samples by label; a family without samples is left out."""
    return joined([blocks(families)])


def blocks(families: Iterable[Family]) -> Blocks:
    """The families' lines; a family without samples is left out."""
    return {family.name: list(_lines(family)) for family in families if family.samples}


def joined(found: Iterable[Blocks]) -> bytes:
    """The families of several processes as one text, each described once."""
    together: Blocks = {}
    for one in found:
        for name, lines in one.items():
            together.setdefault(name, lines[:2]).extend(lines[2:])
    return "".join(f"{line}\n" for lines in together.values() for line in lines).encode()


def _lines(family: Family) -> Iterator[str]:
    yield f"# HELP {family.name} {family.help.translate(_IN_HELP)}"
    yield f"# TYPE {family.name} {family.kind}"
    for values, sample in sorted(family.samples.items(), key=lambda item: item[0]):
        pairs = [_pair(name, value) for name, value in zip(family.labels, values, strict=True)]
        if isinstance(sample, Times):
            yield from _histogram(family.name, pairs, sample)
        else:
            yield f"{family.name}{_braced(pairs)} {_number(sample)}"


def _histogram(name: str, pairs: Sequence[str], times: Times) -> Iterator[str]:
    """Cumulative: each bucket counts all that took no longer."""
    opening = f"{name}_bucket{{{''.join(f'{pair},' for pair in pairs)}"
    seen = 0
    for bound, count in zip(_BOUNDS, times.counts, strict=True):
        seen += count
        yield f"{opening}{bound}}} {seen}"
    yield f"{name}_sum{_braced(pairs)} {_number(times.total)}"
    yield f"{name}_count{_braced(pairs)} {seen}"


def _pair(name: str, value: str) -> str:
    return f'{name}="{value.translate(_IN_VALUE)}"'


def _braced(pairs: Sequence[str]) -> str:
    return f"{{{','.join(pairs)}}}" if pairs else ""


def _number(value: float) -> str:
    return repr(int(value)) if float(value).is_integer() else repr(value)


_BOUNDS = [_pair("le", bound) for bound in (*map(_number, BOUNDS), "+Inf")]
