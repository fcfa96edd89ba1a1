"""Our routes, all of them: the table from which the application and its description are made."""

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response

from pillars.jobs.definition import Job
from pillars.service import exposition, health
from pillars.service.process import Process
from pillars.service.scraping import Metrics
from pillars.web import openapi, problems, shapes
from pillars.web.api.jobs import Jobs
from pillars.web.api.names import Names
from pillars.web.api.processes import Processes
from pillars.web.api.queues import Queues
from pillars.web.api.schedules import Schedules
from pillars.web.api.tasks import Tasks
from pillars.web.bodies import Enqueue, EnqueueNamed, Grants, Send
from pillars.web.dashboard import table as dashboard
from pillars.web.dashboard.entrance import Entrance
from pillars.web.gate import Gate
from pillars.web.operations import Answer, Operation, Resource
from pillars.web.queries import Filters, Strictness
from pillars.web.streams import script
from pillars.web.streams.asking import OfMany, OfOne
from pillars.web.streams.endpoints import Streaming, Streams
from pillars.web.streams.response import MEDIA
from pillars.web.trail import Trail

NO_JOBS: Mapping[str, Job[..., Any]] = MappingProxyType({})

Ops = dict[str, Operation]


def application(process: Process, *, jobs: Mapping[str, Job[..., Any]] = NO_JOBS) -> Starlette:
    """Our side of the web pillar: the routes behind the gate, all errors in words: as JSON, those of the dashboard as pages."""
    settings, entrance, trail = process.settings, Entrance(process), Trail(process.database)
    frame = entrance.frame
    routes = [
        (trail.over(one).route(settings.prefix), one)
        for one in table(process, entrance=entrance, jobs=jobs)
    ]

    def show(request: Request, said: problems.Said) -> Response:
        covered = frame.covers(request.scope["path"])
        return frame.refused(request, said) if covered else problems.show(request, said)

    gate = Middleware(
        Gate,
        settings=settings,
        is_open=[route for route, one in routes if one.is_open],
        ways_in=[route for route, one in routes if one.is_way_in],
        for_operators=[route for route, one in routes if one.is_for_operators],
        streams=[route for route, one in routes if one.is_stream],
        entrance=entrance,
        show=show,
    )
    return Starlette(
        routes=[route for route, _ in routes],
        middleware=[gate],
        exception_handlers=problems.handlers(show),
    )


def table(
    process: Process, *, entrance: Entrance, jobs: Mapping[str, Job[..., Any]] = NO_JOBS
) -> list[Resource]:
    """Every path and what may be done there."""
    prefix, database = process.settings.prefix, process.database
    api = Jobs(database, jobs)
    described: list[Resource] = [
        *_jobs(api),
        *_streams(process),
        _tasks(process, Tasks(database, api, path=f"{prefix}/api/jobs")),
        *_schedules(Schedules(database, jobs=f"{prefix}/api/jobs")),
        *_queues(Queues(database)),
        *_names(Names(database)),
        *_processes(Processes(database)),
        *_health(process),
        _metrics(process),
    ]
    document = openapi.Document(prefix)
    described.append(_openapi(document))
    document.describe(described)
    return [*described, *dashboard.resources(process, entrance)]


def _jobs(jobs: Jobs) -> list[Resource]:
    page = {200: Answer("A page of jobs.", shapes.Jobs)}
    job = {200: Answer("The job.", shapes.Job)}
    cancelled = {
        200: Answer("The job, which had not begun and is cancelled.", shapes.Job),
        202: Answer("The job, which runs; its worker was told.", shapes.Job),
    }
    paused = {
        200: Answer("The job, of which nothing runs now.", shapes.Job),
        202: Answer("The job, which runs; its worker was told.", shapes.Job),
    }
    enqueued = {
        201: Answer("The new job.", shapes.Job, located=True),
        200: Answer("The unfinished job that holds the unique key.", shapes.Job, located=True),
    }
    return [
        Resource("/api/jobs/stats", "jobs", {
            "GET": Operation(
                "count_jobs", "Count the jobs by state and by queue.", jobs.stats,
                {200: Answer("The counts, by one snapshot.", shapes.Stats)},
            ),
        }),
        Resource("/api/jobs", "jobs", {
            "GET": Operation(
                "list_jobs", "List jobs, newest first.", jobs.list, page, problems=(400,), query=Filters
            ),
            "POST": Operation(
                "enqueue_job", "Enqueue a job.", jobs.enqueue, enqueued,
                problems=(400, 404, 408, 413, 415), body=Enqueue, action="job.enqueue",
            ),
        }),
        Resource("/api/jobs/{job_id}", "jobs", {
            "GET": Operation("show_job", "Show one job.", jobs.inspect, job),
            "DELETE": Operation(
                "delete_job", "Cancel a job; the same as POST to its cancel.", jobs.cancel, cancelled, problems=(409,),
                action="job.cancel",
            ),
        }),
        Resource("/api/jobs/{job_id}/retry", "jobs", {
            "POST": Operation(
                "retry_job", "Run a failed, cancelled or expired job again, or a scheduled one now.",
                jobs.retry, job, problems=(409,), action="job.retry",
            ),
        }),
        Resource("/api/jobs/{job_id}/cancel", "jobs", {
            "POST": Operation(
                "cancel_job", "Cancel a job.", jobs.cancel, cancelled, problems=(409,), action="job.cancel"
            ),
        }),
        Resource("/api/jobs/{job_id}/pause", "jobs", {
            "POST": Operation(
                "pause_job", "Pause a job.", jobs.pause, paused, problems=(409,), action="job.pause"
            ),
        }),
        Resource("/api/jobs/{job_id}/messages", "jobs", {
            "POST": Operation(
                "send_message", "Say something to a job, running or not: its code finds it in its inbox.", jobs.send,
                {201: Answer("It was sent.", shapes.Sent)}, problems=(400, 408, 409, 413, 415), body=Send, action="job.send",
            ),
        }),
        Resource("/api/jobs/{job_id}/resume", "jobs", {
            "POST": Operation(
                "resume_job", "Let a paused job go on.", jobs.resume, job, problems=(409,), action="job.resume"
            ),
        }),
    ]  # fmt: skip


def _followed() -> dict[int, Answer]:
    return {
        200: Answer(
            "Server-Sent Events, until all its jobs have ended.", shapes.StreamEvent, media=MEDIA
        ),
        204: Answer("Its jobs have ended, and said nothing since: do not come back."),
    }


def _streams(process: Process) -> list[Resource]:
    streams = Streams(process)
    told = _followed()
    made = {201: Answer("The token.", shapes.StreamToken)}
    return [
        Resource("/api/jobs/{job_id}/stream", "streams", {
            "GET": Operation(
                "follow_job", "Follow one job to its end.", Streaming(process, streams.job, OfOne), told,
                problems=(400, 403), query=OfOne,
            ),
        }, is_stream=True),
        Resource("/api/streams", "streams", {
            "GET": Operation(
                "follow", "Follow up to a hundred jobs, names and tags on one connection.",
                Streaming(process, streams.many, OfMany), told, problems=(400, 403, 404), query=OfMany,
            ),
        }, is_stream=True),
        Resource("/api/streams/tokens", "streams", {
            "POST": Operation(
                "make_stream_token", "Make a token that opens some streams for a while.", streams.grant, made,
                problems=(400, 408, 409, 413, 415), body=Grants, action="stream.grant",
            ),
        }),
        Resource("/api/pillars.js", "streams", {
            "GET": Operation(
                "read_script", "Serve the module by which pages follow jobs.", script.serve,
                {200: Answer("An ES module.", str, media=script.MEDIA)},
            ),
        }, is_open=True),
    ]  # fmt: skip


def _tasks(process: Process, tasks: Tasks) -> Resource:
    turned = {
        201: Answer("The new job: none of this name was unfinished.", shapes.Job, located=True),
        200: Answer("The newest unfinished job, paused or resumed.", shapes.Job, located=True),
    }
    return Resource("/api/tasks/{name:anything}", "tasks", {
        "GET": Operation(
            "follow_task", "Follow the newest unfinished job of a name.", Streaming(process, Streams(process).task, OfOne), _followed(),
            problems=(400, 403), query=OfOne,
        ),
        "POST": Operation(
            "turn_task", "Enqueue a job where none of its name is unfinished, else pause the newest, or resume it.", tasks.turn,
            turned, problems=(400, 408, 409, 413, 415), body=EnqueueNamed, needs_body=False, action="job.enqueue",
        ),
        "DELETE": Operation(
            "cancel_task", "Cancel all unfinished jobs of a name.", tasks.cancel,
            {202: Answer("How many were cancelled, asked to end, or had ended meanwhile.", shapes.Cancelled)},
            action="job.cancel",
        ),
    }, is_stream=True)  # fmt: skip


def _schedules(schedules: Schedules) -> list[Resource]:
    shown = {200: Answer("The schedule as it is now.", shapes.Schedule)}
    ran = {
        201: Answer("The new job.", shapes.Job, located=True),
        200: Answer("The unfinished job that holds the unique key.", shapes.Job, located=True),
    }
    return [
        Resource("/api/schedules", "schedules", {
            "GET": Operation(
                "list_schedules", "List every schedule with its last tick.", schedules.list,
                {200: Answer("The schedules.", shapes.Schedules)},
            ),
        }),
        Resource("/api/schedules/{name:anything}/run", "schedules", {
            "POST": Operation(
                "run_schedule", "Make the job of a schedule now, and no tick; of a paused one, too.", schedules.run, ran,
                problems=(409,), action="schedule.run",
            ),
        }),
        Resource("/api/schedules/{name:anything}/pause", "schedules", {
            "POST": Operation(
                "pause_schedule", "Stop the ticks of a schedule.", schedules.pause, shown, action="schedule.pause"
            ),
        }),
        Resource("/api/schedules/{name:anything}/resume", "schedules", {
            "POST": Operation(
                "resume_schedule", "Let a schedule tick again, from its next tick on.", schedules.resume, shown,
                action="schedule.resume",
            ),
        }),
    ]  # fmt: skip


def _queues(queues: Queues) -> list[Resource]:
    shown = {200: Answer("The queue as it is now.", shapes.Queue)}
    return [
        Resource("/api/queues", "queues", {
            "GET": Operation(
                "list_queues", "List every queue with its unfinished jobs.", queues.list,
                {200: Answer("The queues.", shapes.Queues)},
            ),
        }),
        Resource("/api/queues/{name:anything}/pause", "queues", {
            "POST": Operation(
                "pause_queue", "Let no worker claim from a queue; what runs goes on.", queues.pause, shown,
                action="queue.pause",
            ),
        }),
        Resource("/api/queues/{name:anything}/resume", "queues", {
            "POST": Operation(
                "resume_queue", "Let workers claim from a queue again.", queues.resume, shown, action="queue.resume"
            ),
        }),
    ]  # fmt: skip


def _names(names: Names) -> list[Resource]:
    shown = {200: Answer("The name as it is now.", shapes.Name)}
    return [
        Resource("/api/names", "names", {
            "GET": Operation(
                "list_names", "List every name that code defines with its unfinished jobs.", names.list,
                {200: Answer("The names.", shapes.Names)},
            ),
        }),
        Resource("/api/names/{name:anything}/pause", "names", {
            "POST": Operation(
                "pause_name", "Let no worker claim jobs of a name, in any queue; what runs goes on.", names.pause, shown,
                action="name.pause",
            ),
        }),
        Resource("/api/names/{name:anything}/resume", "names", {
            "POST": Operation(
                "resume_name", "Let workers claim jobs of a name again.", names.resume, shown, action="name.resume"
            ),
        }),
    ]  # fmt: skip


def _processes(processes: Processes) -> list[Resource]:
    listed = {200: Answer("The processes.", shapes.Processes)}
    summary = "List the processes of the application, workers first."
    return [
        Resource(
            "/api/workers",
            "workers",
            {"GET": Operation("list_workers", summary, processes.list, listed)},
        )
    ]


def _health(process: Process) -> list[Resource]:
    well = Answer("The whole picture, degraded or not.", shapes.Health)
    ready = Answer("It serves.", shapes.Life)
    said = {
        "/api/health": Operation(
            "check_health", "Say how the application is.", health.Endpoint(partial(health.health, process)),
            {200: well, 503: Answer("It is degraded, and `strict` was asked for.", shapes.Health)}, query=Strictness,
        ),
        "/api/health/live": Operation(
            "check_live", "Say whether this process turns; never asks the database.",
            health.Endpoint(partial(health.live, process)), {200: Answer("It turns.", shapes.Life)},
        ),
        "/api/health/ready": Operation(
            "check_ready", "Say whether this process serves and has not been asked to stop.",
            health.Endpoint(partial(health.ready, process)),
            {200: ready, 503: Answer("It starts or stops.", shapes.Life)},
        ),
    }  # fmt: skip
    return [Resource(path, "health", {"GET": said[path]}, is_open=True) for path in health.ROUTES]


def _metrics(process: Process) -> Resource:
    read = Operation(
        "read_metrics", "Read this process's and the database's figures, for Prometheus.", Metrics(process),
        {200: Answer("Prometheus' text format.", str, media=exposition.CONTENT_TYPE)},
    )  # fmt: skip
    return Resource(
        health.METRICS, "health", {"GET": read}, is_open=process.settings.metrics == "open"
    )


def _openapi(document: openapi.Document) -> Resource:
    answers = {200: Answer("An OpenAPI 3.1 document.", dict[str, Any])}
    read = Operation("describe_api", "Describe this API.", document.show, answers)
    return Resource("/api/openapi.json", "description", {"GET": read})
