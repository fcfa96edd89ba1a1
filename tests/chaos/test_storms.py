"""The chaos suite's scenarios, short: storms over workers and over cron, deploys, and a crowd at the same rows."""

import pytest

from chaos.aborting import Aborting, aborting
from chaos.contention import Contention, contention
from chaos.deploys import Deploys, deploys
from chaos.server import place
from chaos.storm import Storm, storm
from chaos.ticking import Ticking, ticking
from chaos.waking import Waking, waking

SEED = 20_261_122


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_a_storm_loses_no_job_and_ends_none_twice() -> None:
    plan = Storm(seed=SEED, jobs=800, seconds=15.0, workers=2, long_share=0.1)
    with place() as folder:
        report = await storm(plan, folder)
    assert not report.broken, "\n".join(report.broken)
    assert report.figures["rescues"], "no fault met a job that ran"
    assert report.figures["children whose worker was killed"]
    assert report.figures["events heard"]
    assert report.figures["pauses answered paused"] + report.figures["pauses answered requested"]


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_no_tick_is_lost_or_doubled_while_leaders_die_and_freeze() -> None:
    with place() as folder:
        report = await ticking(Ticking(seed=SEED, seconds=15.0, crons=2), folder)
    assert not report.broken, "\n".join(report.broken)
    assert report.figures["kills"]


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_a_deploy_and_its_rollback_cost_no_job_a_try_and_run_none_that_is_unknown() -> None:
    with place() as folder:
        report = await deploys(Deploys(seed=SEED, stops=1, workers=2), folder)
    assert not report.broken, "\n".join(report.broken)
    assert report.figures["claims in flight at a stop"]


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_a_crowd_at_the_same_keys_meets_no_deadlock_and_loses_no_lock() -> None:
    with place() as folder:
        report = await contention(Contention(seed=SEED, seconds=8.0, holds=3.0), folder)
    assert not report.broken, "\n".join(report.broken)
    assert report.figures["redriven"]


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_what_becomes_due_wakes_a_worker_whose_listener_was_just_cut_off() -> None:
    with place() as folder:
        report = await waking(Waking(seed=SEED, jobs=30, workers=1), folder)
    assert not report.broken, "\n".join(report.broken)
    assert report.figures["listeners cut off"]


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize("heard", [True, False])
async def test_an_abort_by_any_door_ends_whatever_runs_on_whichever_host(*, heard: bool) -> None:
    plan = Aborting(
        seed=SEED, tries=16, at_once=8, heard=heard, within=60.0, environ={"PILLARS_LOCK": "5s"}
    )
    with place() as folder:
        report = await aborting(plan, folder)
    assert not report.broken, "\n".join(report.broken)
