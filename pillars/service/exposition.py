"""Prometheus' text format, version 0.0.4: https://prometheus.io/docs/instrumenting/exposition_formats/."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
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


def exposed(families: Iterable[Family]) -> bytes:
    """The families in their order, each one's samples by label; a family without samples is left out."""
    lines = [line for family in families if family.samples for line in _lines(family)]
    return "".join(f"{line}\n" for line in lines).encode()


def _lines(family: Family) -> Iterator[str]:
    yield f"# HELP {family.name} {family.help.translate(_IN_HELP)}"
    yield f"# TYPE {family.name} {family.kind}"
    for values, sample in sorted(family.samples.items(), key=lambda item: item[0]):
        labels = dict(zip(family.labels, values, strict=True))
        if isinstance(sample, Times):
            yield from _histogram(family.name, labels, sample)
        else:
            yield f"{family.name}{_labelled(labels)} {_number(sample)}"


def _histogram(name: str, labels: Mapping[str, str], times: Times) -> Iterator[str]:
    """Cumulative: each bucket counts all that took no longer."""
    seen = 0
    for bound, count in zip((*map(_number, BOUNDS), "+Inf"), times.counts, strict=True):
        seen += count
        yield f"{name}_bucket{_labelled({**labels, 'le': bound})} {seen}"
    yield f"{name}_sum{_labelled(labels)} {_number(times.total)}"
    yield f"{name}_count{_labelled(labels)} {seen}"


def _labelled(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    pairs = (f'{name}="{value.translate(_IN_VALUE)}"' for name, value in labels.items())
    return f"{{{','.join(pairs)}}}"


def _number(value: float) -> str:
    return repr(int(value)) if float(value).is_integer() else repr(value)
