"""The soak, short: `make soak` runs it for ten minutes."""

from pathlib import Path

import pytest
from soak.soak import Sample, Soak, grown, soak

SEED = 20_261_122


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_under_a_mixed_load_and_cut_connections_processes_hold_no_more_and_more(
    db: str, tmp_path: Path
) -> None:
    plan = Soak(seed=SEED, warm_up=6.0, samples=3, sample_every=4.0, cut_every=3.0)
    lines: list[str] = []
    report = await soak(plan, db, tmp_path, lines.append)
    assert not report.broken, "\n".join([*report.broken, *lines])
    assert report.figures["connections cut"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ((0, 0, 0), []),
        ((5, 5, 1000), []),
        ((6, 0, 0), ["web has 16 descriptors, 10 once it was warm"]),
        ((0, 6, 0), ["web has 26 tasks, 20 once it was warm"]),
        ((0, 0, 65_537), ["web has 115537 kB of memory, 50000 once it was warm"]),
    ],
)
def test_growth_is_told(more: tuple[int, int, int], said: list[str]) -> None:
    first = Sample("web", 0, 10, 20, 5, 50_000)
    last = Sample("web", 600, 10 + more[0], 20 + more[1], 5, 50_000 + more[2])
    assert grown([first], [last]) == said
