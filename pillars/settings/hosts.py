"""Which servers a URL names, and which of them is wanted, as libpq and asyncpg read it."""

import os
import re
from dataclasses import dataclass
from urllib.parse import parse_qs, unquote, urlsplit

__all__ = ["WRITES", "Host", "attributes_of", "hosts_of", "named_hosts", "wants_writes"]

PORT = 5432
WRITES = {"read-write", "primary"}  # of target_session_attrs: all else may lead to a standby
_SPEC = re.compile(r"\[(?P<six>[^]]*)\](?::(?P<of_six>.*))?|(?P<name>[^:]*)(?::(?P<port>[^:]*))?")


@dataclass(frozen=True, slots=True)
class Host:
    """One of the servers: a name, an address, or a folder of sockets; and its port."""

    name: str
    port: int

    def __str__(self) -> str:
        return f"[{self.name}]:{self.port}" if ":" in self.name else f"{self.name}:{self.port}"


def hosts_of(url: str) -> list[Host]:
    """The servers in the order in which they stand there, else in PGHOST; empty where none is named.

    Raises `ValueError` where host and port cannot be told apart, where one of several is empty, or where there are other than one port or one a host.
    """
    query = _query(url)
    place = urlsplit(url).netloc.rpartition("@")[2]
    said = [unquote(one) for one in place.split(",")] if place else _listed(query.get("host"))
    specs = [_split(one) for one in said or _listed(os.environ.get("PGHOST"))]
    if len(specs) > 1 and not all(name for name, _ in specs):
        raise ValueError("a comma with no host beside it")
    beside = _listed(query.get("port") or os.environ.get("PGPORT")) or [str(PORT)]
    if len(beside) == 1:
        beside *= len(specs)
    elif len(beside) != len(specs):
        raise ValueError(f"{len(beside)} ports for {len(specs)} hosts")
    return [
        Host(name, _port(own or other))
        for (name, own), other in zip(specs, beside, strict=True)
        if name
    ]


def named_hosts(url: str) -> set[str]:
    """Every name under which some reader of the URL may look for a server: psql prefers those in its query, asyncpg the others."""
    place = urlsplit(url).netloc.rpartition("@")[2]
    said = [unquote(one) for one in _listed(place)] + _listed(_query(url).get("host"))
    names = {name for name, _ in map(_split, said) if name}
    return names or {name for name, _ in map(_split, _listed(os.environ.get("PGHOST")))}


def wants_writes(url: str) -> bool:
    """Whether a server that takes no writes is to be passed by: where that is asked for, and wherever there are several."""
    return attributes_of(url) in WRITES or len(hosts_of(url)) > 1


def attributes_of(url: str) -> str | None:
    """Its `target_session_attrs`."""
    return _query(url).get("target_session_attrs")


def _query(url: str) -> dict[str, str]:
    return {name: values[-1] for name, values in parse_qs(urlsplit(url).query).items()}


def _listed(said: str | None) -> list[str]:
    return said.split(",") if said else []


def _split(spec: str) -> tuple[str, str | None]:
    """A host's name and port."""
    if spec.startswith("/") or (spec.count(":") > 1 and not spec.startswith("[")):
        return spec, None  # a folder; or an address of IPv6 where no port can follow
    found = _SPEC.fullmatch(spec)
    if found is None:
        raise ValueError(f"no host and port: {spec!r}")
    return found["six"] or found["name"] or "", found["of_six"] or found["port"]


def _port(said: str) -> int:
    port = int(said)
    if not 0 < port < 1 << 16:
        raise ValueError(f"no port: {said!r}")
    return port
