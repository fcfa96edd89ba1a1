"""The dashboard's files, read once: served under names that carry their hash, so that a browser keeps each for ever."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

FOLDER = Path(__file__).parent / "static"
KINDS = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
FOR_EVER = "public, max-age=31536000, immutable"
PRINT = 16  # hexadecimal digits of a hash in a name


@dataclass(frozen=True, slots=True)
class Asset:
    """A file, and the name that its content gives it: `dashboard.0123456789abcdef.css`."""

    name: str
    content: bytes
    kind: str


@cache
def assets() -> Mapping[str, Asset]:
    """Every file that is served, by its plain name."""
    found = {path.name: _read(path) for path in FOLDER.iterdir() if path.suffix in KINDS}
    return MappingProxyType(found)


async def serve(request: Request, headers: Mapping[str, str]) -> Response:
    """The file of exactly this name; no path of a disk is made from what was asked."""
    wanted = request.path_params["name"]
    for asset in assets().values():
        if asset.name == wanted:
            kept = {**headers, "cache-control": FOR_EVER}
            return Response(asset.content, headers=kept, media_type=asset.kind)
    raise HTTPException(404, "there is no such file; load the page again: it names the new one")


def _read(path: Path) -> Asset:
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()[:PRINT]
    return Asset(f"{path.stem}.{digest}{path.suffix}", content, KINDS[path.suffix])
