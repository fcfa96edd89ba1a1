"""What children do in tests."""

import asyncio
import os
import subprocess
import sys
import time
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import psycopg

from pillars import Child, Context, Discard, Retry, Snooze, connection, job, shell_job

LOOKS = 6_000


def note(file: Path, number: int) -> None:
    """Whole, whenever its writer is held."""
    begun = file.with_suffix(".begun")
    begun.write_text(f"{os.getpid()} {number}")
    begun.replace(file)


@job(name="crunch.add", process=True)
def add(one: int, other: int) -> int:
    return one + other


@job(name="crunch.who", process=True)
def who() -> list[int]:
    return [os.getpid(), os.getpgrp(), os.getsid(0), os.getppid()]


@job(name="crunch.who.once", process=Child(reuse=1))
def who_once() -> int:
    return os.getpid()


@job(name="crunch.awaits", process=True)
async def awaits(ctx: Context) -> str:
    await asyncio.sleep(0)
    return f"{ctx.name} {ctx.attempt}"


@job(name="crunch.asks", process=True)
async def asks(ctx: Context) -> int:
    """Reaches the database, and enqueues."""
    await add.enqueue(20, 22)
    async with ctx.connection() as on:
        return int(await on.fetchval("select 7 * 6"))


@job(name="crunch.acts", process=True)
async def acts(ctx: Context, user_id: str) -> list[Any]:
    """For a user, then for the system: what each sees of tests' notes, and the setting that the user is known by."""
    async with ctx.as_user(user_id) as on:
        own = await on.fetchval("select count(*) from notes")
        name = await on.fetchval("select current_setting('app.user', true)")
    async with ctx.system("all of them") as on:
        return [own, await on.fetchval("select count(*) from notes"), name]


@job(name="crunch.acts_now", process=True)
def acts_now(ctx: Context, user_id: str, url: str) -> list[Any]:
    count, found = "select count(*) from notes", list[Any]()
    with psycopg.connect(url) as on:
        with ctx.as_user_now(user_id, connection=on):
            found += on.execute(count).fetchone() or ()
        with ctx.system_now("all of them", connection=on):
            return found + list(on.execute(count).fetchone() or ())


@job(name="crunch.enqueues.now", process=True)
def enqueues_now() -> str:
    return add.enqueue_now(1, 2).job_id


@job(name="crunch.completes", process=True)
async def completes(ctx: Context) -> str | None:
    async with connection() as on:
        await ctx.complete("inside", connection=on)
    return None


@job(name="crunch.raises", process=True, max_attempts=1)
def raises(how: str) -> None:
    match how:
        case "discard":
            raise Discard("no use")
        case "retry":
            raise Retry("not yet", after="1h")
        case "snooze":
            raise Snooze("1h")
        case "exit":
            sys.exit(3)
        case "die":
            os.abort()
        case "end":
            os._exit(0)
    raise ValueError(f"password=hunter2hunter2 {how}")


@job(name="crunch.sleeps", process=True)
def sleeps(path: str) -> str:
    """Writes how far it is, until it is told to end; then cleans up."""
    file = Path(path)
    try:
        for number in range(LOOKS):
            note(file, number)
            time.sleep(0.01)
    finally:
        file.with_suffix(".end").write_text("cleaned up")
    return "done"


@job(name="crunch.sleeps.async", process=True)
async def sleeps_async(path: str) -> str:
    file = Path(path)
    try:
        for number in range(LOOKS):
            note(file, number)
            await asyncio.sleep(0.01)
    finally:
        file.with_suffix(".end").write_text("cleaned up")
    return "done"


@job(name="crunch.stubborn", process=True)
def stubborn(path: str) -> None:
    while True:
        try:
            for number in range(LOOKS):
                note(Path(path), number)
                time.sleep(0.01)
        except BaseException:  # noqa: BLE001 - as code is that does not want to end
            pass


@job(name="crunch.eats", process=Child(memory="200MB"), max_attempts=1)
def eats() -> int:
    return len([bytearray(10_000_000) for _ in range(100)])


@job(name="crunch.eats.unbound", process=True, max_attempts=1)
def eats_unbound() -> int:
    return len([bytearray(10_000_000) for _ in range(40)])


@job(name="crunch.computes", process=Child(cpu_time="1s"), max_attempts=1)
def computes() -> None:
    while True:
        pass


@job(name="crunch.environment", process=Child(env=["ALLOWED_*"]))
def environment() -> dict[str, str]:
    return dict(os.environ)


@job(name="crunch.descriptors", process=True)
def descriptors() -> dict[str, str]:
    """What it has open, each with what it leads to."""
    found = Path("/proc/self/fd").iterdir()
    return {one.name: str(one.readlink()) for one in found if one.is_symlink()}


@job(name="crunch.leaves", process=True)
def leaves(path: str) -> int:
    """Leaves a process behind that is not of its session."""
    code = (
        f"import time,os; open({path!r},'w').write(str(os.getpid()))\nwhile True: time.sleep(0.01)"
    )
    return subprocess.Popen([sys.executable, "-c", code], start_new_session=True).pid


@job(name="crunch.logs", process=True)
def logs(ctx: Context) -> None:
    ctx.log.info("crunch.went", how="well")
    sys.stdout.write("printed\n")


@job(name="crunch.says", process=True)
def says(ctx: Context) -> None:
    ctx.metadata["place"] = "here"
    for number in ctx.track(range(5), message="counting"):
        ctx.emit("number", {"number": number})
    ctx.log.info("crunch.said", count=5)
    sys.stdout.write("to stdout\n")
    sys.stderr.write("to stderr\n")


@job(name="crunch.remembers", process=True, max_attempts=2)
async def remembers(ctx: Context) -> dict[str, Any]:
    if ctx.attempt == 1:
        ctx.metadata["page"] = 3
        raise Retry("once more", after=0)
    return dict(ctx.metadata)


@job(name="crunch.says.and.completes", process=True)
async def says_and_completes(ctx: Context) -> str | None:
    ctx.emit("last", "word")
    async with connection() as on:
        await ctx.complete("inside", connection=on)
    return None


@job(name="crunch.hears", process=True)
async def hears(ctx: Context) -> list[Any]:
    found: list[Any] = []
    ctx.emit("ready")
    async for message in ctx.inbox:
        if message.data == "enough":
            break
        found.append(message.data)
    return found


@job(name="crunch.hears.now", process=True)
def hears_now(ctx: Context) -> list[Any]:
    found: list[Any] = [ctx.inbox.get_now(timeout=0.05)]
    ctx.emit("ready")
    while (message := ctx.inbox.get_now()) is not None and message.data != "enough":
        found.append(message.data)
    return found


@job(name="crunch.looks", process=True)
def looks(ctx: Context) -> Any:
    """Looks into an empty inbox and puts itself off; the next time it waits."""
    if "looked" in ctx.metadata:
        message = ctx.inbox.get_now()
        return message and message.data
    ctx.metadata["looked"] = True
    assert ctx.inbox.get_now(timeout=0) is None
    ctx.emit("looked")
    time.sleep(0.01)
    raise Snooze(0.5)


TENANT: ContextVar[str] = ContextVar("tenant", default="nobody")
left: list[Any] = []


@job(name="crunch.sets", process=True)
def sets(tenant: str) -> str:
    """Who was set before, and says half a line."""
    before = TENANT.get()
    TENANT.set(tenant)
    sys.stdout.write(f"half a line of {tenant}")
    return before


@job(name="crunch.sets.async", process=True)
async def sets_async(tenant: str) -> str:
    before = TENANT.get()
    TENANT.set(tenant)
    return before


@job(name="crunch.keeps", process=True)
def keeps(ctx: Context, number: int) -> None:
    """Says something as all the jobs before it."""
    left.append(ctx)
    for one in left:
        one.emit("number", number)


@job(name="crunch.floods", process=True)
def floods(lines: int) -> int:
    """In three goes, with a while between them."""
    for _ in range(3):
        sys.stdout.write(("x" * 400 + "\n") * lines)
        sys.stdout.flush()
        for _ in range(20):
            time.sleep(0.01)
    return os.getpid()


@job(name="crunch.odd", process=True)
def odd(ctx: Context) -> str:
    ctx.progress(1, 2, os.fsdecode(b"caf\xe9.txt"))
    return "done"


kept: list[bytearray] = []


@job(name="crunch.grows")
async def grows() -> int:
    """Of the worker itself, which does not get it back."""
    kept.append(bytearray(b"x" * 120_000_000))
    return os.getpid()


@job(name="crunch.modules")
async def modules() -> list[str]:
    return sorted(sys.modules)


@job(name="crunch.here")
async def here() -> int:
    return os.getpid()


echo = shell_job(["echo", "{word}"], name="shell.echo")
exits = shell_job(
    ["sh", "-c", "echo not that way >&2; exit {code}"],
    name="shell.exits",
    exits={65: Discard("bad input"), 75: Snooze("1h"), 76: Retry(after="2h")},
    max_attempts=2,
)
answers = shell_job(["sh", "-c", 'echo \'{{"result": {{"rows": 3}}}}\' >&4'], name="shell.answers")
reads = shell_job(
    ["sh", "-c", 'read line <&3; echo "{{\\"result\\": $line}}" >&4'], name="shell.reads"
)
speaks = shell_job(
    [
        "sh",
        "-c",
        """echo '{{"progress": {{"done": 3, "total": 10, "message": "reading"}}}}
{{"output": {{"name": "page", "data": {{"number": 3}}}}}}
{{"metadata": {{"pages": 10}}}}
{{"log": {{"level": "warning", "event": "page.skipped", "page": 4}}}}' >&4""",
    ],
    name="shell.speaks",
)
asks_in_lines = shell_job(
    [
        "sh",
        "-c",
        """read job <&3; echo '{{"asks": true}}' >&4; read told <&3; echo "{{\\"result\\": $told}}" >&4""",
    ],
    name="shell.asks",
)
babbles = shell_job(
    [
        "sh",
        "-c",
        """echo '{{"progress": {{"done": -1}}}}
{{"output": {{"name": "no name"}}}}
{{"metadata": []}}
[]
{{"result": 1}}' >&4""",
    ],
    name="shell.babbles",
)
pair = shell_job(["sh", "-c", "sleep 600 & echo $! > {path}; wait"], name="shell.pair")
runs = shell_job(["sh", "-c", "{text}"], name="shell.runs")
forks = shell_job(["sh", "-c", "sleep 600 >&- 2>&- & echo $! > {path}"], name="shell.forks")
missing = shell_job(["no-such-program-anywhere"], name="shell.missing", max_attempts=1)
heeds = shell_job(
    ["sh", "-c", "trap 'exit 0' TERM; echo $$ > {path}; while true; do sleep 0.01; done"],
    name="shell.heeds",
)

ALL: list[Any] = [
    add, who, who_once, awaits, asks, acts, acts_now, enqueues_now, completes, raises, sleeps, sleeps_async, stubborn, eats, eats_unbound, computes, environment,
    descriptors, leaves, logs, says, remembers, says_and_completes, hears, hears_now, looks, sets, sets_async, keeps, floods, odd, asks_in_lines, grows, modules, here, echo, speaks, babbles, exits, answers, reads, pair, runs, forks, missing, heeds,
]  # fmt: skip
