"""What `app dev` reads in its children's lines, and how long it waits after their ends."""

import pytest

from pillars.dev.running import READY
from pillars.service.fleet import LONGEST, pause_after


@pytest.mark.parametrize(
    ("line", "roles"),
    [
        ("2026-11-22 [info     ] web.ready   url=http://127.0.0.1:8000", ["web"]),
        (
            "\x1b[2m2026\x1b[0m [\x1b[32m\x1b[1minfo\x1b[0m] \x1b[1mworker.ready \x1b[0m jobs=1",
            ["worker"],
        ),
        ('{"event":"cron.ready"}', ["cron"]),
        ("job.completed name=myweb.readyish", []),
    ],
)
def test_a_pillar_that_is_ready_is_noticed_with_and_without_colours(
    line: str, roles: list[str]
) -> None:
    assert READY.findall(line) == roles


def test_the_pause_doubles_up_to_a_limit_and_is_short_again_after_a_long_run() -> None:
    pauses = [pause_after(None, ran=0)]
    while len(pauses) < 6:
        pauses.append(pause_after(pauses[-1], ran=0))
    assert pauses == [1, 2, 4, 8, 10, 10]
    assert pause_after(10, ran=LONGEST + 1) == 1
