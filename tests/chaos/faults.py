"""What is done to the processes and to Postgres: a seed draws what, when, whom, and for how long."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import anyio
from anyio.abc import TaskGroup

from chaos.crowd import Crowd
from chaos.server import Server
from process.relay import Relay


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """Which faults, how often and for how long."""

    seed: int
    seconds: float
    pause: tuple[float, float]
    """Seconds between two faults."""
    frozen: tuple[float, float]
    """Seconds that a frozen process is frozen, and a silent partition lasts."""
    faults: Sequence[str]
    """What is drawn from: `kill` (SIGKILL), `freeze` (SIGSTOP), `crash` (of Postgres), `cut` (the server ends every connection), `reset` (one member's
    connections break), `silence` (they stay, and nothing comes through)."""


@dataclass(frozen=True, slots=True)
class Strike:
    """One fault: when, in seconds from the beginning; of whom, as a share of all; and for how many seconds where it lasts."""

    at: float
    fault: str
    whom: float
    seconds: float


def drawn(weather: Weather) -> Iterator[Strike]:
    """The same ones for the same weather."""
    chance = random.Random(f"faults {weather.seed}")
    at = chance.uniform(*weather.pause)
    while at < weather.seconds:
        yield Strike(
            at, chance.choice(weather.faults), chance.random(), chance.uniform(*weather.frozen)
        )
        at += chance.uniform(*weather.pause)


class Faults:
    """What strikes whom: `relays` are the ways of the crowd's members to the database, where there are such."""

    def __init__(
        self, weather: Weather, server: Server, crowd: Crowd, relays: Sequence[Relay] = ()
    ) -> None:
        self._weather = weather
        self._server = server
        self._crowd = crowd
        self._relays = relays

    async def rage(self) -> None:
        """Let the faults come, and the last one pass."""
        began = anyio.current_time()
        async with anyio.create_task_group() as passing:
            for strike in drawn(self._weather):
                await anyio.sleep_until(began + strike.at)
                await self._strike(strike, passing)

    async def _strike(self, strike: Strike, passing: TaskGroup) -> None:
        crowd, whom, seconds = self._crowd, strike.whom, strike.seconds
        match strike.fault:
            case "kill":
                crowd.kill(whom)
            case "freeze":
                passing.start_soon(crowd.freeze, whom, seconds)
            case "crash":
                crowd.counted["Postgres crashes"] += await self._server.crash()
            case "cut":
                crowd.counted["cuts of all connections"] += bool(await self._server.cut_all())
            case "reset":
                crowd.counted["resets"] += 1
                self._relays[int(whom * len(self._relays))].cut()
            case "silence":
                passing.start_soon(
                    self._silence, self._relays[int(whom * len(self._relays))], seconds
                )

    async def _silence(self, relay: Relay, seconds: float) -> None:
        """Neither end can tell; what was under way arrives when it is over."""
        if relay.passing:
            self._crowd.counted["silent partitions"] += 1
            relay.blackhole()
            await anyio.sleep(seconds)
            relay.heal()
