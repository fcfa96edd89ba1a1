"""A folder for the server's socket that only its owner can enter."""

import os
import stat
from pathlib import Path

from pillars.embedded.accounts import Account
from pillars.errors import ConfigurationError

__all__ = ["make_socket_folder", "socket_folder"]

# Bytes that a socket's path may have, less the ending zero: Linux 107, macOS 103.
LONGEST = 103
SOCKET = "/.s.PGSQL.65535.lock"


def socket_folder(name: str) -> Path:
    """Where the socket of the cluster called `name` (a hash: a project's path may be too long for a socket) goes.

    The user's runtime folder, else /tmp. Root has no runtime folder that the server's user can enter.
    """
    uid = os.geteuid()
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if uid != 0 and _suits(runtime):
        folder = Path(runtime) / "pillars" / name
        if len(os.fsencode(folder)) + len(SOCKET) <= LONGEST:
            return folder
    # Not tempfile.gettempdir(): every process of a project must come to the same folder.
    return Path("/tmp") / f"pillars-{uid}" / name  # noqa: S108 - checked by make_socket_folder


def _suits(runtime: str) -> bool:
    # A comma or a quote would be read by unix_socket_directories as a list.
    if not runtime.startswith("/") or not set(runtime).isdisjoint(",'\""):
        return False
    folder = Path(runtime)
    return folder.is_dir() and folder.stat().st_uid == os.geteuid()


def make_socket_folder(folder: Path, *, owner: Account) -> None:
    """Make the folder for `owner` alone, and refuse one that somebody else laid out for us.

    For another owner than ourselves (we are root) the folder above stays ours, so that nothing in it can be swapped.
    """
    _make(folder.parent, 0o700 if owner.is_us else 0o711)
    _check(folder.parent, os.geteuid())
    _make(folder, 0o700)
    if not owner.is_us:
        os.chown(folder, owner.uid, owner.gid, follow_symlinks=False)
    _check(folder, owner.uid)


def _make(folder: Path, mode: int) -> None:
    try:
        folder.mkdir(mode)
    except FileExistsError:
        return
    folder.chmod(mode)  # whatever the umask took


def _check(folder: Path, uid: int) -> None:
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != uid or found.st_mode & 0o022:
        raise ConfigurationError(
            f"{folder} must be a folder of the OS user with id {uid} that no other can write to; "
            f"it is {stat.filemode(found.st_mode)} of {found.st_uid}; remove it"
        )
