"""Look up each pinned release among the known vulnerabilities, and say of how many nobody could tell.

`pip-audit` ends well where it could look up nothing; an audit of nothing is none.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
PINNED = ROOT / "requirements.lock"


def audited() -> list[dict[str, object]]:
    """What is known of each release; of none where the advisories cannot be reached at all."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        words = ["--requirement", str(PINNED), "--disable-pip", "--require-hashes"]
        words += ["--format", "json", "--output", str(report), "--progress-spinner", "off"]
        command = [sys.executable, "-m", "pip_audit", *words]
        subprocess.run(command, capture_output=True, check=False)
        found = json.loads(report.read_text()) if report.exists() else {"dependencies": []}
    return list(found["dependencies"])


def main() -> int:
    releases = audited()
    looked_up = [one for one in releases if "vulns" in one]
    known = [(one["name"], one["version"], vulnerability) for one in looked_up for vulnerability in one["vulns"]]  # type: ignore[attr-defined]  # fmt: skip
    for name, version, vulnerability in known:
        fixed = ", ".join(vulnerability["fix_versions"]) or "nothing yet"
        print(f"{name} {version}: {vulnerability['id']}, mended in {fixed}")
    if not looked_up or len(looked_up) < len(releases):
        print(f"looked up {len(looked_up)} of {len(releases)} pinned releases: the advisories of PyPI cannot be reached from here")  # fmt: skip
        return 1
    print(f"{len(known)} known vulnerabilities in {len(releases)} pinned releases")
    return 1 if known else 0


if __name__ == "__main__":
    sys.exit(main())
