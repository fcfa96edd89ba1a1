"""Figures in words. A figure's name ends in its unit: `worker_cpu_us` is shown as "worker CPU 35.2 µs"."""

UNITS = {
    "_per_s": "/s",
    "_us": " µs",
    "_ms": " ms",
    "_mb": " MB",
    "_gb": " GB",
    "_bytes": " B",
    "_percent": " %",
}


ABBREVIATIONS = {"cpu", "rss", "wal"}


def label(name: str) -> str:
    """What a figure is, without its unit."""
    words = name.removesuffix(_ending(name)).split("_")
    return " ".join(word.upper() if word in ABBREVIATIONS else word for word in words)


def unit(name: str) -> str:
    """The unit of a figure as it stands behind a number."""
    return UNITS.get(_ending(name), "")


def shown(name: str, value: float) -> str:
    """The value with its unit."""
    return number(value) + unit(name)


def number(value: float) -> str:
    """Three digits or more, as many as say something."""
    size = abs(value)
    decimals = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 0.095 or not size else 3
    return f"{value:,.{decimals}f}"


def _ending(name: str) -> str:
    return next((one for one in UNITS if name.endswith(one)), "")
