"""The dashboard's routes. They stand in the route table, so that dispatcher and gate know them, and not in the API's description."""

from functools import partial

from pillars.service.process import Process
from pillars.web.dashboard import assets
from pillars.web.dashboard.frame import PATH, SAFE, Frame
from pillars.web.dashboard.job import JobPage
from pillars.web.dashboard.jobs import JobsPage
from pillars.web.dashboard.overview import Overview
from pillars.web.dashboard.queues import QueuesPage
from pillars.web.dashboard.readings import Readings
from pillars.web.dashboard.schedules import SchedulesPage
from pillars.web.dashboard.workers import WorkersPage
from pillars.web.operations import Answer, Handler, Operation, Resource

HTML = "text/html"
SHOWN = {200: Answer("The page.", str, HTML)}
DONE = {303: Answer("To the page that shows what became of it.", str, HTML)}


def resources(process: Process) -> list[Resource]:
    """Every page, what its forms do, and the files that pages are made with."""
    frame, readings = Frame(process.settings), Readings(process.database)
    overview = Overview(frame, readings)
    jobs, job = JobsPage(frame, readings), JobPage(frame, readings)
    queues, schedules = QueuesPage(frame, readings), SchedulesPage(frame, readings)
    workers = WorkersPage(frame, readings)
    name = "{name:path}"
    return [
        _at("", GET=_shows("show_overview", "Show how the application is.", overview.show)),
        _at(
            "/jobs",
            GET=_shows("show_jobs", "Show jobs, newest first.", jobs.show),
            POST=_does("change_jobs", "Retry or cancel the selected jobs.", jobs.change),
        ),
        _at("/jobs/{job_id}", GET=_shows("show_job_page", "Show one job.", job.show)),
        _at("/jobs/{job_id}/retry", POST=_does("retry_on_page", "Retry a job.", job.retry)),
        _at("/jobs/{job_id}/cancel", POST=_does("cancel_on_page", "Cancel a job.", job.cancel)),
        _at("/queues", GET=_shows("show_queues", "Show every queue.", queues.show)),
        _at(f"/queues/{name}/pause", POST=_does("stop_queue", "Pause a queue.", queues.pause)),
        _at(f"/queues/{name}/resume", POST=_does("start_queue", "Resume a queue.", queues.resume)),
        _at("/schedules", GET=_shows("show_schedules", "Show every schedule.", schedules.show)),
        _at(
            f"/schedules/{name}/run",
            POST=_does("tick_by_hand", "Make the job of a schedule now.", schedules.run),
        ),
        _at(
            f"/schedules/{name}/pause",
            POST=_does("stop_schedule", "Pause a schedule.", schedules.pause),
        ),
        _at(
            f"/schedules/{name}/resume",
            POST=_does("start_schedule", "Resume a schedule.", schedules.resume),
        ),
        _at("/workers", GET=_shows("show_workers", "Show every process.", workers.show)),
        _files(),
    ]


def _at(path: str, **operations: Operation) -> Resource:
    return Resource(PATH + path, "dashboard", operations)


def _shows(name: str, summary: str, handler: Handler) -> Operation:
    return Operation(name, summary, handler, SHOWN)


def _does(name: str, summary: str, handler: Handler) -> Operation:
    return Operation(name, summary, handler, DONE)


def _files() -> Resource:
    """Open, so that the page that asks for a token looks like the others; they are the same for everybody."""
    served = {200: Answer("The file.", bytes, "text/css")}
    read = Operation("read_asset", "Serve a file of the pages.", partial(assets.serve, headers=SAFE), served)  # fmt: skip
    return Resource(f"{PATH}/assets/{{name}}", "dashboard", {"GET": read}, is_open=True)
