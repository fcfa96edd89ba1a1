"""The processes of `app dev`: the three pillars, and whatever else Procfile.dev names."""

import re
import shlex
import sys
from pathlib import Path

LINE = re.compile(r"([A-Za-z0-9_-]+):\s*(.+)")
PILLARS = ("web", "worker", "cron")


def processes(project: Path) -> dict[str, str]:
    """Shell commands by name: the pillars run by this very Python and reload; others are run as they stand."""
    python = shlex.quote(sys.executable)
    commands = {role: f"exec {python} -m pillars {role} --reload" for role in PILLARS}
    file = project / "Procfile.dev"
    if file.is_file():
        for line in file.read_text("utf-8").splitlines():
            matched = LINE.fullmatch(line.strip())
            if matched and matched[1] not in commands:
                commands[matched[1]] = matched[2]
    return commands
