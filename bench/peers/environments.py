"""An environment of its own for each peer, so that none of its dependencies enters this project."""

import asyncio
import sys
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree, which

ROOT = Path(__file__).parents[2]  # its pyproject.toml says how new a dependency of a peer may be
SHARED = (
    "msgspec==0.22.0",
    "uvloop==0.23.0",
)  # what bench/child.py needs; uvloop runs every program


class PeerAbsent(Exception):  # noqa: N818 - named for what it says
    """This peer cannot be measured here; the message says why, in a line."""


@dataclass(frozen=True, slots=True)
class Environment:
    """What a peer is installed from: its exact requirement first, then its driver's, and the oldest Python it runs on."""

    requirements: tuple[str, ...]
    python: tuple[int, int] = (3, 11)

    @property
    def version(self) -> str:
        return self.requirements[0].partition("==")[2]

    async def install(self, folder: Path) -> str:
        """Make it in `folder`, and return its interpreter: of the Python that runs this, or of a newer one where that is too old."""
        made = interpreter(folder)
        if not await asyncio.to_thread(Path(made).exists):
            await _uv("venv", "--no-project", "--python", await self._interpreter(), str(folder))
            try:
                await _uv("pip", "install", "--python", made, *SHARED, *self.requirements)
            except PeerAbsent:
                await asyncio.to_thread(rmtree, folder)  # else it would be taken for made
                raise
        return made

    async def _interpreter(self) -> str:
        if sys.version_info >= self.python:
            return sys.executable
        needed = "{}.{}".format(*self.python)
        try:
            return await _uv(
                "python", "find", "--no-project", "--no-python-downloads", f">={needed}"
            )
        except PeerAbsent:
            raise PeerAbsent(f"it needs Python {needed}, and none is on PATH") from None


def interpreter(folder: Path) -> str:
    return str(folder / "bin" / "python")


async def _uv(*words: str) -> str:
    program = which("uv", path=str(Path(sys.executable).parent)) or which("uv")
    if program is None:
        raise PeerAbsent("no uv on PATH: pip install uv")
    process = await asyncio.create_subprocess_exec(
        program, "--quiet", *words, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )  # fmt: skip
    output, errors = await process.communicate()
    if process.returncode:
        raise PeerAbsent(" ".join(errors.decode("utf-8", "replace").split()))
    return output.decode().strip()
