"""What can be said to `app jobs`. The work is imported when a command runs."""

from typing import Any

import click

from pillars.cli.ending import ending
from pillars.cli.shared import JSON, WAIT, AsWritten, together
from pillars.store.states import PAUSABLE, REDRIVABLE, STATES, UNFINISHED

YES = click.option("--yes", is_flag=True, help="Do not ask.")
DESCRIBING = together(
    click.option("--name", metavar="NAME", help="Only jobs of this name."),
    click.option("--queue", metavar="QUEUE", help="Only jobs of this queue."),
    click.option("--tag", metavar="TAG", help="Only jobs with this tag."),
)

ENQUEUEING = together(
    click.argument("name", metavar="NAME"),
    click.argument("pairs", nargs=-1, metavar="[KEY=VALUE]..."),
    click.option(
        "--payload", metavar="JSON|-|@FILE", help="All arguments as one JSON object; - reads stdin."
    ),
    click.option("--queue", metavar="QUEUE", help="Instead of the job's own."),
    click.option("--priority", type=int, metavar="N", help="Higher runs first."),
    click.option("--run-at", metavar="TIME", help="Not before, such as 2027-01-31T09:00+01:00."),
    click.option(
        "--run-in", metavar="TIME", help="Not before so much time has passed: 90s, 5m, 2h, 1d."
    ),
    click.option("--max-attempts", type=int, metavar="N", help="How many tries in all."),
    click.option(
        "--unique-key",
        metavar="TEXT",
        help="At most one unfinished job holds it; a second enqueue finds the first.",
    ),
    click.option("--context", metavar="TEXT", help="Why, for people."),
)
LINES = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON, an object a line, as streams tell it."
)


@click.group()
def jobs() -> None:
    """Look at jobs, follow them, enqueue, retry, cancel, pause and resume them."""


@jobs.command("list")
@click.option(
    "--state",
    type=click.Choice(STATES),
    metavar="STATE",
    help=f"Only jobs in this state: {', '.join(STATES)}.",
)
@DESCRIBING
@click.option(
    "--limit",
    type=click.IntRange(1, 200),
    default=50,
    show_default=True,
    metavar="N",
    help="How many at most.",
)
@click.option("--cursor", metavar="CURSOR", help="Go on where an earlier page ended.")
@JSON
@ending
def list_jobs(**said: Any) -> int:
    """List jobs, newest first.

    \b
    Examples:
      app jobs list --state failed
      app jobs list --name jobs.mail.send_receipt --limit 10
      app jobs list --state failed --json | jq -r '.items[].job_id'
    """
    from pillars.cli import looking

    return looking.list_jobs(**said)


@jobs.command()
@click.argument("job_id", metavar="ID")
@JSON
@ending
def show(*, job_id: str, as_json: bool) -> int:
    """Show one job: its fields, payload, result, attempts with their errors, and what it waits for."""
    from pillars.cli import looking

    return looking.show(job_id, as_json=as_json)


@jobs.command(cls=AsWritten)
@ENQUEUEING
@WAIT
@JSON
@ending
def enqueue(*, name: str, pairs: tuple[str, ...], **said: Any) -> int:
    """Enqueue a job and print its id.

    A VALUE is JSON where it reads as JSON, else text. Arguments are checked against the job's signature; a job that only
    another deployment defines is taken without that check.

    \b
    Examples:
      app jobs enqueue jobs.mail.send_receipt order_id=42 to=a@example.com
      app jobs enqueue jobs.reports.digest --run-in 2h --priority 10
      app jobs enqueue jobs.reports.digest --payload @arguments.json --wait=30s
    """
    from pillars.cli import enqueueing

    return enqueueing.enqueue(name, pairs, **said)


@jobs.command()
@ENQUEUEING
@LINES
@ending
def run(*, name: str, pairs: tuple[str, ...], **said: Any) -> int:
    """Enqueue a job and follow it to its end: what it says, a bar of its progress, its result.

    Ctrl-C ends the job and waits for its end; a second one leaves at once. Exit 0 if it completed, 1 if not, 130 after a Ctrl-C.

    \b
    Examples:
      app jobs run jobs.export.xml order_id=42
      app jobs run jobs.reports.digest --json | jq .
    """
    from pillars.cli import tailing

    return tailing.run(name, pairs, **said)


@jobs.command()
@click.argument("job_id", metavar="ID")
@click.option("-f", "--follow", is_flag=True, help="Go on until the job has ended.")
@LINES
@ending
def tail(*, job_id: str, follow: bool, as_json: bool) -> int:
    """Print what a job has said: its log, its progress, what it put out; then how it stands.

    \b
    Examples:
      app jobs tail 01890a5d-ac96-774b-bcce-b302099a8057 -f
    """
    from pillars.cli import tailing

    return tailing.tail(job_id, follow=follow, as_json=as_json)


@jobs.command()
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@click.option(
    "--expires-in",
    default="1h",
    show_default=True,
    metavar="TIME",
    help="For how long; 30d at most.",
)
@ending
def token(*, ids: tuple[str, ...], expires_in: str) -> int:
    """Print a token that opens the streams of these jobs, and nothing else, for a while: for a browser.

    \b
    Examples:
      app jobs token 01890a5d-ac96-774b-bcce-b302099a8057 --expires-in 15m
    """
    from pillars.cli import tailing

    return tailing.token(ids, expires_in=expires_in)


@jobs.command()
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option(
    "--state",
    "states",
    type=click.Choice(REDRIVABLE),
    multiple=True,
    metavar="STATE",
    help=f"All jobs in this state: {', '.join(REDRIVABLE)}. May be repeated.",
)
@DESCRIBING
@YES
@JSON
@ending
def retry(*, ids: tuple[str, ...], **said: Any) -> int:
    """Run failed, cancelled or expired jobs again, or scheduled ones now.

    Without ids: all jobs that --state and the other options describe, once their count is confirmed.

    \b
    Examples:
      app jobs retry 01890a5d-ac96-774b-bcce-b302099a8057
      app jobs retry --state failed --name jobs.mail.send_receipt
    """
    from pillars.cli import changing

    return changing.change(changing.Retry(), ids, **said)


@jobs.command()
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option(
    "--state",
    "states",
    type=click.Choice(UNFINISHED),
    multiple=True,
    metavar="STATE",
    help=f"All jobs in this state: {', '.join(UNFINISHED)}. May be repeated.",
)
@DESCRIBING
@YES
@JSON
@ending
def cancel(*, ids: tuple[str, ...], **said: Any) -> int:
    """End jobs: at once where they are not running, else by asking their worker.

    Without ids: all jobs that --state and the other options describe, once their count is confirmed.

    \b
    Examples:
      app jobs cancel 01890a5d-ac96-774b-bcce-b302099a8057
      app jobs cancel --state ready --state scheduled --queue mail
    """
    from pillars.cli import changing

    return changing.change(changing.Cancel(), ids, **said)


@jobs.command()
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option(
    "--state",
    "states",
    type=click.Choice(PAUSABLE),
    multiple=True,
    metavar="STATE",
    help=f"All jobs in this state: {', '.join(PAUSABLE)}. May be repeated.",
)
@DESCRIBING
@YES
@JSON
@ending
def pause(*, ids: tuple[str, ...], **said: Any) -> int:
    """Pause jobs: at once where they are not running, else from their code's next checkpoint on.

    Without ids: all jobs that --state and the other options describe, once their count is confirmed.

    \b
    Examples:
      app jobs pause 01890a5d-ac96-774b-bcce-b302099a8057
      app jobs pause --state ready --name jobs.export.xml
    """
    from pillars.cli import changing

    return changing.change(changing.Pause(), ids, **said)


@jobs.command()
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option(
    "--state",
    "states",
    type=click.Choice(("paused", "running")),
    multiple=True,
    metavar="STATE",
    help="All jobs in this state: paused, running (asked to pause, and not yet at rest). May be repeated.",
)
@DESCRIBING
@YES
@JSON
@ending
def resume(*, ids: tuple[str, ...], **said: Any) -> int:
    """Let paused jobs go on.

    Without ids: all jobs that --state and the other options describe, once their count is confirmed.

    \b
    Examples:
      app jobs resume 01890a5d-ac96-774b-bcce-b302099a8057
      app jobs resume --state paused --name jobs.export.xml
    """
    from pillars.cli import changing

    return changing.change(changing.Resume(), ids, **said)


@jobs.command(cls=AsWritten)
@click.argument("job_id", metavar="ID")
@click.argument("message", metavar="JSON|-|@FILE")
@JSON
@ending
def send(*, job_id: str, message: str, as_json: bool) -> int:
    """Say something to a job, running or not: its code finds it in ctx.inbox.

    \b
    Examples:
      app jobs send 01890a5d-ac96-774b-bcce-b302099a8057 '{"approved": true}'
      app jobs send 01890a5d-ac96-774b-bcce-b302099a8057 @answer.json
    """
    from pillars.cli import sending

    return sending.send(job_id, message, as_json=as_json)
