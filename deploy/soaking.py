"""Keep web, worker and cron under a mixed load, and see that what they hold of the machine does not grow.

    python deploy/soaking.py              ten minutes
    python deploy/soaking.py --minutes 2  shorter
    python deploy/soaking.py --seed 7     with the jobs that this seed draws

Printed are descriptors, tasks, threads and memory of each process, a minute apart, each time once it has nothing to do. The run ends with 1
where descriptors or tasks have grown by more than five since the first fifth, memory by 64 MB, or a job has not ended as it should.
"""

import argparse
import asyncio
import random
import shutil
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from soak.soak import Soak, soak  # noqa: E402

from pillars import embedded  # noqa: E402
from pillars.store import migrate  # noqa: E402
from pillars.store.pool import Address  # noqa: E402

SAMPLES = 9  # a fifth to get warm, then the rest in eight parts


async def main(seed: int, minutes: float) -> int:
    """Run it on a Postgres of its own; returns 1 where something has grown."""
    folder = Path(tempfile.mkdtemp(prefix="pillars-soak-"))
    folder.chmod(0o711)
    cluster = embedded.cluster(folder)
    seconds = minutes * 60
    plan = Soak(
        seed=seed,
        warm_up=seconds / 5,
        samples=SAMPLES,
        sample_every=seconds / 10,
        cut_every=min(30.0, seconds / 10),
    )
    print(f"soak --seed {seed} --minutes {minutes:g}", flush=True)
    try:
        with embedded.start(cluster) as server:
            known = [*migrate.of_runtime(), *migrate.in_folder("app", ROOT / "sql" / "app")]
            await migrate.migrate(Address(server.url), known)
            report = await soak(plan, server.url, folder, lambda line: print(line, flush=True))
    finally:
        embedded.reset(cluster)
        shutil.rmtree(folder, ignore_errors=True)
    print(", ".join(f"{what} {count:,}" for what, count in report.figures.items()))
    for line in report.broken:
        print(f"broken: {line}")
    return 1 if report.broken else 0


if __name__ == "__main__":
    asked = argparse.ArgumentParser(description="Soak; without words for ten minutes.")
    asked.add_argument("--seed", type=int, default=None, help="draw the same jobs again")
    asked.add_argument("--minutes", type=float, default=10.0)
    given = asked.parse_args()
    drawn = random.randrange(10**8) if given.seed is None else given.seed
    sys.exit(asyncio.run(main(drawn, given.minutes)))
