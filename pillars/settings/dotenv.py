r"""`.env` files, read so that no value is changed.

`KEY=value` a line, with or without `export`. Quotes around a whole value are taken off: within single quotes
all stands for itself, within double quotes `\n`, `\t`, `\r`, `\"` and `\\` are escapes; both may span lines.
Without quotes a `#` after a blank begins a comment. Nothing is interpolated.
"""

import re

from pillars.errors import ConfigurationError

__all__ = ["read_dotenv"]

_LINE_END = re.compile(r"\r\n?")
_BLANK = re.compile(r"\s*(?:#[^\n]*)?(?:\n|\Z)")
_KEY = re.compile(r"[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_]*)[ \t]*=")
_QUOTE = re.compile(r"[ \t]*['\"]")
_SINGLE = re.compile(r"[ \t]*'([^']*)'")
_DOUBLE = re.compile(r'[ \t]*"((?:[^"\\]|\\.)*)"', re.DOTALL)
# A quoted stretch within a bare value, or a `#` without a blank before it, or anything but `#`.
_BARE = re.compile(r"(?:\"[^\"\n]*\"|'[^'\n]*'|(?<![ \t])#|[^#\n])*")
_REST = re.compile(r"[ \t]*(?:[ \t]#[^\n]*)?(?:\n|\Z)")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "\\": "\\"}


def read_dotenv(text: str, *, name: str = ".env") -> dict[str, str]:
    """Read the variables of a file's text; the last of a name wins.

    ConfigurationError names the line that is malformed, and shows nothing of it: it may be a secret.
    """
    text = _LINE_END.sub("\n", text.removeprefix("\ufeff"))
    found: dict[str, str] = {}
    at = 0
    while at < len(text):
        if blank := _BLANK.match(text, at):
            at = blank.end()
            continue
        key = _KEY.match(text, at)
        if key is None:
            raise _malformed(name, text, at, "expected KEY=value")
        value, end = _value(text, key.end())
        rest = _REST.match(text, end)
        if rest is None or "\0" in value:
            raise _malformed(
                name, text, at, f"the value of {key[1]} has a stray quote or character"
            )
        found[key[1]] = value
        at = rest.end()
    return found


def _value(text: str, at: int) -> tuple[str, int]:
    """The value that follows the `=`, and where it ends."""
    if quoted := _SINGLE.match(text, at):
        return quoted[1], quoted.end()
    if quoted := _DOUBLE.match(text, at):
        return _ESCAPE.sub(lambda found: _ESCAPES.get(found[1], found[0]), quoted[1]), quoted.end()
    if _QUOTE.match(text, at):
        return "", at  # it never ends; what stands here is nothing that may follow a value
    bare = _BARE.match(text, at)
    value = bare[0].rstrip(" \t") if bare else ""
    return value.lstrip(" \t"), at + len(value)


def _malformed(name: str, text: str, at: int, said: str) -> ConfigurationError:
    return ConfigurationError(f"{name} line {text.count(chr(10), 0, at) + 1}: {said}")
