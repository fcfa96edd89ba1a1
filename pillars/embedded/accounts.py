"""Which OS user Postgres runs as, and which folders that user can reach."""

import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path

from pillars.errors import ConfigurationError

__all__ = ["Account", "invoker", "servant"]

# Whom root lets the server run as: Postgres refuses to run as root. Both exist without our making a user.
SERVANTS = ("postgres", "nobody")


@dataclass(frozen=True, slots=True)
class Account:
    """An OS user."""

    name: str
    uid: int
    gid: int

    @property
    def is_us(self) -> bool:
        return self.uid == os.geteuid()

    def reaches(self, path: Path) -> bool:
        """Whether the user, in no other group than its own, can pass through to `path` and, if it is a file, run it.

        What does not exist yet is taken as passable.
        """
        whole = path.resolve()
        return all(self._passes(part) for part in (whole, *whole.parents))

    def _passes(self, path: Path) -> bool:
        try:
            found = path.stat()
        except FileNotFoundError:
            return True
        if found.st_uid == self.uid:
            return bool(found.st_mode & stat.S_IXUSR)
        if found.st_gid == self.gid:
            return bool(found.st_mode & stat.S_IXGRP)
        return bool(found.st_mode & stat.S_IXOTH)


def invoker() -> Account:
    """The user that this process runs as."""
    return _account(os.geteuid())


def servant(name: str | None, *, data: Path) -> Account:
    """The user to run Postgres as: ourselves, or as root the one named, the owner of `data`, or the first there is."""
    us = invoker()
    if us.uid != 0:
        if name not in {None, us.name}:
            raise ConfigurationError(
                f"Postgres cannot run as {name!r}: only root may choose, and this is {us.name!r}; leave the user out"
            )
        return us
    owner = data.lstat().st_uid if data.exists() else None
    if name is None and owner is not None:
        return _account(owner)
    for candidate in SERVANTS if name is None else (name,):
        try:
            chosen = pwd.getpwnam(candidate)
        except KeyError:
            continue
        if owner not in {None, chosen.pw_uid}:
            raise ConfigurationError(
                f"{data} belongs to {_account(chosen.pw_uid if owner is None else owner).name!r}, not to {candidate!r}; "
                "run Postgres as its owner, or drop the data: app db reset"
            )
        return Account(candidate, chosen.pw_uid, chosen.pw_gid)
    raise ConfigurationError(
        f"root cannot run Postgres, and there is no OS user {name or ' or '.join(SERVANTS)!r}; "
        "name one that exists, or set DATABASE_URL"
    )


def _account(uid: int) -> Account:
    try:
        found = pwd.getpwuid(uid)
    except KeyError as error:
        # Neither initdb nor peer authentication can do with a bare number.
        raise ConfigurationError(
            f"the OS user with id {uid} has no name in the passwd database, and Postgres needs one; "
            "give it an entry, run as another user, or set DATABASE_URL"
        ) from error
    return Account(found.pw_name, found.pw_uid, found.pw_gid)
