"""What is shown in place of secrets: of values whose name says so, of passwords in URLs, of what this process was itself told.

Only what people and programs are shown is changed, never what is stored for a job or handed to it. Nothing here recurses, takes
quadratic time or fails: it stands around errors.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit

if TYPE_CHECKING:
    from pillars.settings.values import Settings

__all__ = ["HIDDEN", "REDACTED", "USUAL", "hide", "is_secret", "masked", "redacted", "secrets_in"]

USUAL = (
    "password", "passwd", "passphrase", "pwd", "secret", "token", "api_key", "access_key", "private_key", "credential",
    "auth", "authorization", "cookie", "session_id", "csrf", "jwt", "otp", "card", "cvc", "cvv", "ssn",
)  # fmt: skip
"""What Sentry, Rails and Django hide, less what is often no secret, such as an e-mail address or any key."""

REDACTED = "[redacted]"
"""In place of the value of a secret name."""
HIDDEN = "***"
"""In place of a secret within a text."""

LEAST_SECRET = 6  # characters: a shorter one stands in innocent words
SHORT = 4  # letters: a name up to this long must be a whole word, or "pin" would hide "shipping"
LONGEST_KEPT = 100  # characters of a name that is worth remembering
PASSWORDS = {"password", "sslpassword"}  # of a connection string, whatever the names are


@dataclass(frozen=True, slots=True)
class _Known:
    """What this process hides: names as patterns, and the values of its own secrets, the longest first."""

    parts: re.Pattern[str]
    words: re.Pattern[str]
    secrets: tuple[str, ...] = ()


_NEVER = re.compile(r"(?!)")
# `lock_token` is a fence, not a secret; `tokens` are counted.
_OUR_TOKENS = {"token": "(?<!lock)token(?!s)"}
_OUTSIDE_WORDS = re.compile(r"[\W_]+")
_BETWEEN_WORDS = re.compile(r"[\W\d_]+|(?<=[a-z])(?=[A-Z])")


def _of_names(names: Iterable[str], secrets: Iterable[str] = ()) -> _Known:
    squeezed = {_squeezed(name) for name in names} - {""}
    parts = [name for name in sorted(squeezed) if len(name) > SHORT]
    words = [name for name in sorted(squeezed) if len(name) <= SHORT]
    return _Known(
        re.compile("|".join(_OUR_TOKENS.get(one, re.escape(one)) for one in parts)) if parts else _NEVER,
        re.compile(rf"\b(?:{'|'.join(map(re.escape, words))})\b") if words else _NEVER,
        tuple(sorted(set(secrets), key=len, reverse=True)),
    )  # fmt: skip


def _squeezed(name: str) -> str:
    return _OUTSIDE_WORDS.sub("", name).lower()


_known = _of_names(USUAL)


def hide(settings: "Settings") -> None:
    """From here on this process hides the names of these settings, and their own secrets wherever a text has them."""
    global _known  # noqa: PLW0603 - of the process, as its log is
    urls = (settings.database_url, settings.database_direct_url)
    found = [password for url in urls if url for password in _passwords(url)]
    found += [token for token in (settings.token, settings.view_token) if token]
    _known = _of_names(settings.redact, [one for one in found if len(one) >= LEAST_SECRET])
    _is_secret.cache_clear()


def _passwords(url: str) -> Iterator[str]:
    """The passwords of a URL, as written and as meant; not one that says nothing, such as the user's name."""
    try:
        parts = urlsplit(url)
        said = [parts.password or "", *parse_qs(parts.query).get("password", [])]
        innocent = {parts.username, parts.hostname, parts.path.strip("/"), "postgres", *USUAL}
    except ValueError:
        return
    for password in said:
        if password not in innocent:
            yield from {password, unquote(password)}


# --- names --------------------------------------------------------------------------------------------------


def is_secret(name: str) -> bool:
    """Whether what stands under this name is hidden: it has one of the names in it, however both are spelt."""
    if len(name) <= LONGEST_KEPT:
        return _is_secret(name)
    return _is_secret.__wrapped__(name)


@lru_cache(maxsize=10_000)
def _is_secret(name: str) -> bool:
    known = _known
    if known.parts.search(_squeezed(name)):
        return True
    return known.words.search(_BETWEEN_WORDS.sub(" ", name).lower()) is not None


# --- texts --------------------------------------------------------------------------------------------------

# A password that was not escaped may hold `/` and `@`; in a web page's address those stand in the path.
# Bounded, so that no text takes quadratic time.
# The word `password` is none: it stands in what we say of how a URL is written.
_URL_PASSWORD = re.compile(
    r"((?<!http)(?<!https)://[^\s:/@]*:)(?!password@)\S{1,256}@|(://[^\s:/@]*:)(?!password@)[^\s/]+@"
)
_CUT_PASSWORD = re.compile(r"(://[^\s:/@]{0,256}:)[^\s@]+\Z")
# password=it, and what a dict or JSON looks like in a message: 'password': 'it'. Not password: it, which is how errors name a field.
_NAMED = re.compile(
    r"(?<![\w.])(?<![\w.]-)(?P<name>[^\W\d][\w.-]{0,99})(?:=(?!=)|[\"']\s{0,9}:\s{0,9})(?![\"']?(?:\[redacted\]|\*\*\*))"
)
_VALUE = re.compile(
    r"[bru]?\"(?:[^\"\\]|\\.)*+(?:\"|\\?\Z)|[bru]?'(?:[^'\\]|\\.)*+(?:'|\\?\Z)|[^\s&,;)\]}\"']+",
    re.DOTALL,
)


def masked(text: str, also: Iterable[str] = ()) -> str:
    """A text without the passwords of URLs, the values of secret names, this process's own secrets, and those in `also`."""
    if "://" in text:
        text = _URL_PASSWORD.sub(rf"\1\2{HIDDEN}@", text)
    if "=" in text or "':" in text or '":' in text:
        text = _without_named(text)
    for secret in (*_known.secrets, *also):
        if secret in text:
            text = text.replace(secret, HIDDEN)
    return text


def _without_named(text: str) -> str:
    """Without the values of secret names. Within another's value there may be one: `url=https://…?token=it`."""
    parts: list[str] = []
    copied = at = 0
    while (found := _NAMED.search(text, at)) is not None:
        at = found.end()
        if not (is_secret(found["name"]) or found["name"].lower() in PASSWORDS):
            continue
        value = _VALUE.match(text, at)
        if value is None or value[0] in {"None", "null"}:
            continue
        parts += (text[copied:at], REDACTED)
        copied = at = value.end()
    return "".join((*parts, text[copied:])) if parts else text


# --- JSON ---------------------------------------------------------------------------------------------------

# The last string of a text that was cut has no end.
_STRING = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
_STRING_OR_BRACKET = re.compile(rf"{_STRING.pattern}|[\[\]{{}}]", re.DOTALL)
_CUT_ESCAPE = re.compile(r"((?<!\\)(?:\\\\)*+)\\(?:u[0-9A-Fa-f]{0,3})?\Z")
_COLON = re.compile(r"\s*:\s*")
_SCALAR = re.compile(r"[^\s,\]}]*")
_STEPS = {"[": 1, "{": 1, "]": -1, "}": -1}


def redacted(text: str) -> str:
    """JSON, whole or cut, with the values of secret names replaced, and its texts masked. All else stays, digit by digit."""
    parts: list[str] = []
    copied = 0
    for start, end, _, instead in _hidden(text):
        parts += (text[copied:start], instead)
        copied = end
    return "".join((*parts, text[copied:])) if parts else text


def secrets_in(text: str) -> list[str]:
    """The texts under secret names of a JSON text, to be hidden where an error quotes them; the longest first."""
    values = [text[start:end] for start, end, named, _ in _hidden(text) if named]
    texts = {_plain(found[0]) for value in values for found in _STRING.finditer(value)}
    return sorted((one for one in texts if len(one) >= LEAST_SECRET), key=len, reverse=True)


def _hidden(text: str) -> Iterator[tuple[int, int, bool, str]]:
    """What is not shown: from where, to where, whether for its name, and what stands there instead."""
    at = 0
    while (string := _STRING.search(text, at)) is not None:
        at = string.end()
        colon = _COLON.match(text, at)
        if colon is not None and is_secret(_plain(string[0])):
            at = _end_of_value(text, colon.end())
            if text[colon.end() : at] not in {"null", ""}:
                yield colon.end(), at, True, f'"{REDACTED}"'
            continue
        shown = _masked_string(string[0])
        if shown != string[0]:
            yield string.start(), at, False, shown


def _end_of_value(text: str, start: int) -> int:
    """Where a value ends that begins here; the text's end where it was cut within."""
    match text[start : start + 1]:
        case '"':
            string = _STRING.match(text, start)
            return len(text) if string is None else string.end()
        case "{" | "[":
            marks = _STRING_OR_BRACKET.finditer(text, start)
            ends = ((mark.end(), _STEPS.get(mark[0], 0)) for mark in marks)
            depths = accumulate(ends, lambda one, two: (two[0], one[1] + two[1]))
            return next((end for end, depth in depths if depth == 0), len(text))
    scalar = _SCALAR.match(text, start)
    return len(text) if scalar is None else scalar.end()


def _masked_string(string: str) -> str:
    """A string of JSON, quotes and escapes included, masked."""
    whole = len(string) > 1 and string.endswith('"')
    inner = _plain(string)
    shown = masked(inner)
    if not whole:
        shown = _CUT_PASSWORD.sub(rf"\1{HIDDEN}", shown)
    if shown == inner:
        return string
    written = json.dumps(shown, ensure_ascii=False)
    return written if whole else written[:-1]


def _plain(string: str) -> str:
    """What a string of JSON says; as it is written where that cannot be read."""
    inner = string[1:-1] if len(string) > 1 and string.endswith('"') else string[1:]
    if "\\" not in inner:
        return inner
    try:
        whole = _CUT_ESCAPE.sub(r"\1", inner)
        return str(json.loads(f'"{whole}"', strict=False))
    except ValueError:
        return inner
