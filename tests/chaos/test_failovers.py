"""The chaos suite's failover, short."""

import pytest

from chaos.failover import Failover, failover
from chaos.server import place


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_after_a_failover_every_process_goes_on_and_nothing_acknowledged_is_lost() -> None:
    plan = Failover(seed=20_261_122, jobs=500, seconds=10.0, workers=1, crons=1)
    with place() as folder:
        report = await failover(plan, folder)
    assert not report.broken, "\n".join(report.broken)
    assert report.figures["failovers"] == 3
