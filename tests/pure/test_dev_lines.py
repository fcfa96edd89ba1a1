"""What `app dev` reads in its children's lines."""

import pytest

from pillars.dev.running import READY


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
