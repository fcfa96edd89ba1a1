"""The environment of a child: what is on a list, and nothing else of the worker's."""

import os
import sys
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path

from pillars.settings import Settings

HERE = Path(__file__).parents[3]
MARK = "PILLARS_CHILD_OF"
HARMLESS = (
    "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "LC_*", "TZ", "TMPDIR", "TEMP", "TMP", "TERM",
    "SSL_CERT_FILE", "SSL_CERT_DIR",
)  # fmt: skip
OF_PYTHON = ("PYTHON*", "VIRTUAL_ENV", "LOG_LEVEL", "LOG_FORMAT", "PILLARS_*", "PG*")
NEVER = ("PILLARS_TOKEN", "PILLARS_VIEW_TOKEN", "PILLARS_PROCESS*", MARK)


def environment(
    environ: Mapping[str, str],
    wanted: Iterable[str],
    settings: Settings,
    *,
    url: str,
    python: bool,
    mark: str,
) -> dict[str, str]:
    """What a child of this worker gets: a Python function also what the runtime needs to reach the same database."""
    patterns = (*HARMLESS, *wanted, *(OF_PYTHON if python else ()))
    chosen = {
        name: value
        for name, value in environ.items()
        if any(fnmatchcase(name, one) for one in patterns)
        and not any(fnmatchcase(name, one) for one in NEVER)
    }
    if python:
        chosen |= {
            "DATABASE_URL": url,
            "PILLARS_ENV": settings.env,
            "PILLARS_PROJECT": str(settings.project),
            "PILLARS_JOBS": settings.jobs,
            "PILLARS_CRONS": settings.crons,
            "PILLARS_POOL": str(settings.pool),
            "PILLARS_REDACT": ",".join(settings.redact),
            "PILLARS_RLS_USER": settings.rls_user,
            "PILLARS_RLS_USER_ROLE": settings.rls_user_role or "",
            "PILLARS_RLS_SYSTEM_ROLE": settings.rls_system_role or "",
            "LOG_LEVEL": settings.log_level,
            "PYTHONUNBUFFERED": "1",
        }
        if "site-packages" not in str(HERE):  # a checkout, which a child finds by its path
            chosen["PYTHONPATH"] = os.pathsep.join(
                filter(None, (str(HERE), chosen.get("PYTHONPATH")))
            )
        if settings.database_direct_url:
            chosen["DATABASE_DIRECT_URL"] = settings.database_direct_url
        chosen.setdefault("PATH", sys.exec_prefix + "/bin")
    return {**chosen, MARK: mark}
