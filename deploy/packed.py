"""The entry point of the one executable file that `deploy/binary.sh` makes: the application is the folder beside it."""

import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
MADE_FOR = HERE / "python"  # "3.11"


def main() -> None:
    """Be `app`, of the application that was packed, in production; the environment may say otherwise."""
    wanted, running = MADE_FOR.read_text().strip(), "{}.{}".format(*sys.version_info)
    if wanted != running:  # compiled code fits one Python
        sys.exit(f"app: made for Python {wanted}, this is {running}: run it with python{wanted}")
    os.environ.setdefault("PILLARS_ENV", "prod")
    os.environ.setdefault("PILLARS_PROJECT", str(HERE / "project"))
    from pillars.cli import main as app

    app(prog_name="app")
