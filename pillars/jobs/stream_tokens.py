"""Tokens that open the streams of some jobs for a while, and nothing else: for browsers."""

import hmac
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, TypeAlias
from uuid import UUID

import msgspec

from pillars.durations import Duration, duration
from pillars.errors import ConfigurationError, UsageError
from pillars.jobs import options
from pillars.jobs.handle import Handle, checked_id
from pillars.settings import Settings, load
from pillars.store.streams import Topics

PREFIX = "pst_"
"""So that a token is known for what it is, by our gate and by those who look for leaked secrets."""
PURPOSE = b"pillars stream token 1"
MOST_TOPICS = 100
LONGEST = timedelta(days=30)
LONGEST_TOKEN = 40_000  # characters: a hundred tags of the longest kind
UNCHECKED = "dev"
"""What signs where no token is set in dev: nobody asks for one there."""
NO_KEY = "no stream token can be made: PILLARS_TOKEN is not set, whose holders alone can check it; set it, in .env in dev"

Job: TypeAlias = Handle[Any] | UUID | str


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token opens, and until when."""

    topics: Topics
    expires_at: datetime

    @property
    def expired(self) -> bool:
        return datetime.now(UTC) >= self.expires_at


class _Written(msgspec.Struct, forbid_unknown_fields=True):
    """A grant as a token carries it; `salt` makes any two differ."""

    expires_at: datetime
    jobs: list[UUID]
    names: list[str]
    tags: list[str]
    salt: str


def stream_token(
    *,
    job: Job | Iterable[Job] = (),
    name: str | Iterable[str] = (),
    tag: str | Iterable[str] = (),
    expires_in: Duration = "1h",
) -> str:
    """A token that opens the streams of these jobs, names and tags, and nothing else, for so long: hand it to a browser.

    Signed by `PILLARS_TOKEN`, so any process that has it may make one, and no database is asked. At most 100 topics and 30 days.
    In dev without a `PILLARS_TOKEN` this machine needs none, and what is returned is looked at by nobody. Raises `UsageError` where
    there is no topic, or one is not of its form, and `ConfigurationError` in production without a `PILLARS_TOKEN`.
    """
    topics = checked_topics(jobs=_each(job), names=_each(name), tags=_each(tag))
    return token_of(load(), topics, duration(expires_in, what="expires_in"))[0]


def checked_topics(
    *, jobs: Iterable[Job] = (), names: Iterable[str] = (), tags: Iterable[str] = ()
) -> Topics:
    """Topics of whatever says them; raises `UsageError` for none, too many, or one that cannot be."""
    topics = Topics.of(
        jobs=[checked_id(one.job_id if isinstance(one, Handle) else one) for one in jobs],
        names=[options.checked_name(one, "name") for one in names],
        tags=[options.checked_text(one, "tag", longest=options.LONGEST_TAG) for one in tags],
    )
    if not 1 <= len(topics) <= MOST_TOPICS:
        raise UsageError(
            f"topics: expected 1 to {MOST_TOPICS} of job, name and tag, got {len(topics)}"
        )
    return topics


def token_of(settings: Settings, topics: Topics, expires_in: timedelta) -> tuple[str, Grant]:
    """A token by these settings, and what it opens; raises `UsageError` and `ConfigurationError` as `stream_token`."""
    if not timedelta(0) < expires_in <= LONGEST:
        raise UsageError("expires_in: expected more than zero and at most 30 days")
    secret = settings.token or (UNCHECKED if settings.env == "dev" else None)
    if secret is None:
        raise ConfigurationError(NO_KEY)
    grant = Grant(topics, datetime.now(UTC) + expires_in)
    return signed(secret, grant), grant


def signed(secret: str, grant: Grant) -> str:
    topics = grant.topics
    written = _Written(
        grant.expires_at,
        sorted(topics.jobs),
        sorted(topics.names),
        sorted(topics.tags),
        secrets.token_urlsafe(9),
    )
    content = _text(msgspec.json.encode(written))
    return f"{PREFIX}{content}.{_text(_seal(secret, content))}"


def opened(secret: str, token: str) -> Grant | None:
    """What a token opens, or opened; None where this secret did not sign it. Compared in a time that tells nothing about the seal."""
    content, dot, seal = token.removeprefix(PREFIX).partition(".")
    if not (token.startswith(PREFIX) and dot) or len(token) > LONGEST_TOKEN:
        return None
    if not hmac.compare_digest(_text(_seal(secret, content)).encode(), seal.encode()):
        return None
    try:
        written = msgspec.json.decode(_bytes(content), type=_Written)
    except (msgspec.MsgspecError, Error):
        return None
    topics = Topics.of(jobs=written.jobs, names=written.names, tags=written.tags)
    return Grant(topics, written.expires_at)


def _seal(secret: str, content: str) -> bytes:
    key = hmac.digest(secret.encode(), PURPOSE, sha256)
    return hmac.digest(key, content.encode(), sha256)


def _text(content: bytes) -> str:
    return urlsafe_b64encode(content).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _each(said: Any) -> Iterable[Any]:
    return [said] if isinstance(said, (str, UUID, Handle)) else said
