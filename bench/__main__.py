import asyncio, sys, tempfile
from pathlib import Path
from bench.running import Bench
from bench.server import server
from bench.workloads.draining import DRAIN

async def run(server, folder, words):
    bench = Bench(server, folder, scale=float(words[0]) if words else 1.0)
    for _ in range(int(words[1]) if len(words) > 1 else 2):
        for name, measure in DRAIN.contenders.items():
            if len(words) > 2 and name not in words[2:]: continue
            print(name, {k: round(v, 1) for k, v in (await measure(bench)).items()}, flush=True)

folder = Path(tempfile.mkdtemp(prefix="pillars-bench-")); folder.chmod(0o711)
with server(folder / "pg") as s:
    asyncio.run(run(s, folder, sys.argv[1:]))
