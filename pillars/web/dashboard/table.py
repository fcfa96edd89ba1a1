"""The dashboard's routes. They stand in the route table, so that dispatcher and gate know them, and not in the API's description."""

from dataclasses import dataclass
from functools import partial

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from pillars.service.process import Process
from pillars.web.dashboard import assets, following
from pillars.web.dashboard.audit import AuditPage
from pillars.web.dashboard.entrance import Entrance
from pillars.web.dashboard.frame import PATH, SAFE, Frame
from pillars.web.dashboard.job import JobPage
from pillars.web.dashboard.jobs import JobsPage
from pillars.web.dashboard.names import NamesPage
from pillars.web.dashboard.overview import Overview
from pillars.web.dashboard.queues import QueuesPage
from pillars.web.dashboard.readings import Readings
from pillars.web.dashboard.schedules import SchedulesPage
from pillars.web.dashboard.turns import Turns
from pillars.web.dashboard.workers import WorkersPage
from pillars.web.operations import Answer, Handler, Operation, Resource
from pillars.web.streams.asking import OfOne
from pillars.web.streams.endpoints import Streaming
from pillars.web.streams.response import MEDIA

HTML = "text/html"
SHOWN = {200: Answer("The page.", str, HTML)}
NAME = "{name:anything}"
DONE = {303: Answer("To the page that shows what became of it.", str, HTML)}


def resources(process: Process, entrance: Entrance) -> list[Resource]:
    """Every page, what its forms do, and the files that pages are made with; last, what is none of them."""
    frame = entrance.frame
    readings, shows = Readings(process.database), Shows(Turns())
    return [
        _at("", GET=shows("show_overview", "Show how the application is.", Overview(frame, readings).show)),
        *_jobs(JobsPage(frame, readings), JobPage(frame, readings), shows),
        Resource(f"{PATH}/jobs/{{job_id}}/news", "dashboard", {"GET": Operation(
            "follow_job_page", "Tell a job's page that there is news.", Streaming(process, following.job, OfOne, newest=following.NEWEST),
            {200: Answer("Server-Sent Events, for a minute.", str, MEDIA)},
        )}, is_stream=True),
        *_queues(QueuesPage(frame, readings), shows),
        *_names(NamesPage(frame, readings), shows),
        *_schedules(SchedulesPage(frame, readings), shows),
        _at("/workers", GET=shows("show_workers", "Show every process.", WorkersPage(frame, readings).show)),
        Resource(f"{PATH}/audit", "dashboard", {
            "GET": shows("show_audit", "Show what was done, newest first.", AuditPage(frame, readings).show),
        }, is_for_operators=True),
        *_ways_in(entrance),
        _files(),
        _others(frame),
    ]  # fmt: skip


def _jobs(jobs: JobsPage, job: JobPage, shows: "Shows") -> list[Resource]:
    return [
        _at(
            "/jobs",
            GET=shows("show_jobs", "Show jobs, newest first.", jobs.show),
            POST=_does(
                "change_jobs", "Retry or cancel the selected jobs.", jobs.change, "jobs.change"
            ),
        ),
        _at("/jobs/{job_id}", GET=shows("show_job_page", "Show one job.", job.show)),
        _at(
            "/jobs/{job_id}/retry",
            POST=_does("retry_on_page", "Retry a job.", job.retry, "job.retry"),
        ),
        _at(
            "/jobs/{job_id}/cancel",
            POST=_does("cancel_on_page", "Cancel a job.", job.cancel, "job.cancel"),
        ),
        _at(
            "/jobs/{job_id}/pause",
            POST=_does("pause_on_page", "Pause a job.", job.pause, "job.pause"),
        ),
        _at(
            "/jobs/{job_id}/resume",
            POST=_does("resume_on_page", "Let a paused job go on.", job.resume, "job.resume"),
        ),
    ]


def _queues(queues: QueuesPage, shows: "Shows") -> list[Resource]:
    one = f"/queues/{NAME}"
    return [
        _at("/queues", GET=shows("show_queues", "Show every queue.", queues.show)),
        _at(
            f"{one}/pause", POST=_does("stop_queue", "Pause a queue.", queues.pause, "queue.pause")
        ),
        _at(
            f"{one}/resume",
            POST=_does("start_queue", "Resume a queue.", queues.resume, "queue.resume"),
        ),
    ]


def _names(names: NamesPage, shows: "Shows") -> list[Resource]:
    one = f"/names/{NAME}"
    return [
        _at("/names", GET=shows("show_names", "Show every name of jobs.", names.show)),
        _at(f"{one}/pause", POST=_does("stop_name", "Pause a name.", names.pause, "name.pause")),
        _at(
            f"{one}/resume", POST=_does("start_name", "Resume a name.", names.resume, "name.resume")
        ),
    ]


def _schedules(schedules: SchedulesPage, shows: "Shows") -> list[Resource]:
    one = f"/schedules/{NAME}"
    run = _does("tick_by_hand", "Make the job of a schedule now.", schedules.run, "schedule.run")
    pause = _does("stop_schedule", "Pause a schedule.", schedules.pause, "schedule.pause")
    resume = _does("start_schedule", "Resume a schedule.", schedules.resume, "schedule.resume")
    return [
        _at("/schedules", GET=shows("show_schedules", "Show every schedule.", schedules.show)),
        _at(f"{one}/run", POST=run),
        _at(f"{one}/pause", POST=pause),
        _at(f"{one}/resume", POST=resume),
    ]


def _at(path: str, **operations: Operation) -> Resource:
    return Resource(PATH + path, "dashboard", operations)


@dataclass(frozen=True, slots=True)
class Shows:
    """Makes the operation of a page, which waits for its turn."""

    turns: Turns

    def __call__(self, name: str, summary: str, handler: Handler) -> Operation:
        return Operation(name, summary, self.turns.taken(handler), SHOWN)


def _does(name: str, summary: str, handler: Handler, action: str) -> Operation:
    return Operation(name, summary, handler, DONE, action=action)


def _ways_in(entrance: Entrance) -> list[Resource]:
    login = {
        "GET": Operation("show_login", "Ask for a name and a password.", entrance.show, SHOWN),
        "POST": Operation("log_in", "Log in.", entrance.log_in, DONE),
    }
    logout = {"POST": Operation("log_out", "Log out.", entrance.log_out, DONE)}
    return [
        Resource(f"{PATH}/login", "dashboard", login, is_way_in=True),
        Resource(f"{PATH}/logout", "dashboard", logout, is_way_in=True),
    ]


def _files() -> Resource:
    """Open, so that the page that asks for a token looks like the others; they are the same for everybody."""
    served = {200: Answer("The file.", bytes, "text/css")}
    read = Operation("read_asset", "Serve a file of the pages.", partial(assets.serve, headers=SAFE), served)  # fmt: skip
    return Resource(f"{PATH}/assets/{{name}}", "dashboard", {"GET": read}, is_open=True)


def _others(frame: Frame) -> Resource:
    """What is below the dashboard is its own, pages that there are not too: none of them is the application's."""

    async def show(request: Request) -> Response:
        if request.path_params["rest"]:
            raise HTTPException(404, "there is no such page of the dashboard")
        return frame.go(frame.link())

    said = {303: Answer("To the overview, without the slash.", str, HTML)}
    return _at(
        "/{rest:anything}", GET=Operation("show_no_page", "Answer 404 in the frame.", show, said)
    )
