"""Log lines: what is in them, what is not, and that a line always comes out."""

import io
import json
import logging
import re
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from pillars import log
from pillars.log import Event, configure, get

SECRET = "hunter2"


class Stream(io.TextIOWrapper):
    """A terminal or a pipe, kept in memory."""

    def __init__(self, *, terminal: bool = False) -> None:
        self.memory = io.BytesIO()
        super().__init__(self.memory, encoding="utf-8")
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal

    @property
    def text(self) -> str:
        return self.memory.getvalue().decode()

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]


@pytest.fixture(autouse=True)
def _logging_put_back(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    with warnings.catch_warnings():
        yield
        logging.captureWarnings(capture=False)
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def json_lines(level: str = "info") -> Stream:
    stream = Stream()
    configure(level=level, format="json", stream=stream)
    return stream


class Hostile:
    def __repr__(self) -> str:
        raise RuntimeError

    __str__ = __repr__


# --- one line -----------------------------------------------------------------------------------------------


def test_a_line_is_json_with_time_level_event_first() -> None:
    stream = json_lines()
    get("pillars.worker").info(Event.JOB_COMPLETED, job_id="a", duration_ms=1.5)
    (line,) = stream.lines
    assert list(line)[:3] == ["timestamp", "level", "event"]
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "level": "info",
        "event": "job.completed",
        "logger": "pillars.worker",
        "job_id": "a",
        "duration_ms": 1.5,
    }


def test_every_event_is_a_noun_and_a_past() -> None:
    for event in Event:
        noun, _, past = event.value.partition(".")
        assert noun.isalpha()
        assert past.replace("_", "").isalpha()
        assert event.name == event.value.upper().replace(".", "_")
    assert [event.value for event in Event] == sorted(event.value for event in Event)


def test_levels_below_the_least_are_silent() -> None:
    stream = json_lines("warning")
    logger = get("a")
    logger.debug("a.b")
    logger.info("a.b")
    logger.warning("a.b")
    logging.getLogger("b").info("c")
    logging.getLogger("b").error("c")
    assert [line["level"] for line in stream.lines] == ["warning", "error"]


def test_bound_and_context_values_are_merged() -> None:
    stream = json_lines()
    structlog.contextvars.bind_contextvars(job_id="a")
    get("a").bind(queue="mail").info("a.b")
    (line,) = stream.lines
    assert (line["job_id"], line["queue"]) == ("a", "mail")


def test_a_logger_made_and_used_before_follows_the_newest_configuration() -> None:
    logger = get("a")
    first = json_lines("info")
    logger.info("a.b")
    second = json_lines("debug")
    logger.debug("c.d")
    assert [line["event"] for line in first.lines] == ["a.b"]
    assert [line["event"] for line in second.lines] == ["c.d"]


def test_an_exception_is_one_text() -> None:
    stream = json_lines()
    try:
        1 / 0  # noqa: B018
    except ZeroDivisionError as error:
        get("a").exception("job.failed")
        get("a").error("job.failed", exc_info=error)
        get("a").error("job.failed", exc_info=(type(error), error, error.__traceback__))
    get("a").error("job.failed", exc_info=True)
    texts = [line.get("exception") for line in stream.lines]
    assert texts.pop() is None
    for text in texts:
        assert text is not None
        assert text.startswith("Traceback")
        assert text.endswith("division by zero")
    assert "exc_info" not in stream.text


# --- secrets ------------------------------------------------------------------------------------------------

HIDDEN = [
    "password", "PGPASSWORD", "token", "view_token", "csrfToken", "client_secret", "Authorization",
    "api_key", "apiKey", "X-Api-Key", "card", "card_number", "credit_card", "passwd",
]  # fmt: skip
SHOWN = ["lock_token", "tokens", "input_tokens", "discarded", "cardinality", "keys", "job_id"]


@pytest.mark.parametrize("key", HIDDEN)
@pytest.mark.parametrize("value", [SECRET, 4242, [SECRET], {"a": SECRET}])
def test_the_value_of_a_secret_key_is_hidden(key: str, value: object) -> None:
    stream = json_lines()
    get("a").info("a.b", **{key: value})
    get("a").info("a.b", request={"headers": [{key: value}]})
    assert [stream.lines[0][key], stream.lines[1]["request"]] == [
        "[redacted]",
        {"headers": [{key: "[redacted]"}]},
    ]


@pytest.mark.parametrize("key", SHOWN)
def test_the_value_of_a_like_key_is_shown(key: str) -> None:
    stream = json_lines()
    get("a").info("a.b", **{key: "x", "token": None})
    assert (stream.lines[0][key], stream.lines[0]["token"]) == ("x", None)


URLS = {
    f"postgres://u:{SECRET}@h/db": "postgres://u:***@h/db",
    f"postgres://u:{SECRET}/@w@h/db": "postgres://u:***@h/db",
    f"see redis://:{SECRET}@h:1 and https://u:{SECRET}@h/p": "see redis://:***@h:1 and https://u:***@h/p",
    "http://h:80/users/a@b.c": "http://h:80/users/a@b.c",
    "https://h/a:b@c": "https://h/a:b@c",
}


@pytest.mark.parametrize("url", URLS)
def test_the_password_of_a_url_is_hidden_in_any_text(url: str) -> None:
    stream = json_lines()
    get("a").info("a.b", text=url, nested=[{"url": url}])
    try:
        raise ValueError(url)  # noqa: TRY301
    except ValueError:
        get("a").exception(url)
    logging.getLogger("b").error(url)
    assert stream.lines[0]["text"] == URLS[url]
    assert stream.lines[0]["nested"] == [{"url": URLS[url]}]
    assert stream.lines[1]["event"] == stream.lines[2]["event"] == URLS[url]
    assert stream.lines[1]["exception"].endswith(f"ValueError: {URLS[url]}")
    assert SECRET not in stream.text


def test_no_text_takes_long_to_search_for_urls() -> None:
    stream = json_lines()
    get("a").info("a.b", text="a://:" * 100_000)
    assert len(stream.text) > 500_000


# --- a line always comes out --------------------------------------------------------------------------------

ODD: dict[str, tuple[Any, Any]] = {
    "an object": (type("Thing", (), {"__str__": lambda _: "thing"})(), "thing"),
    "a hostile object": (Hostile(), "<Hostile>"),
    "a hostile object within": ([Hostile(), 1, 1.5, None, True], ["<Hostile>", 1, 1.5, None, True]),
    "a lone surrogate": ("a\ud800", "a\\ud800"),
    "a lone surrogate beside a number": (["\ud800", 1, 1.5, None], ["\\ud800", "1", 1.5, None]),
    "odd keys": ({(1, 2): "a", 3: Hostile()}, {"(1, 2)": "a", "3": "<Hostile>"}),
    "NaN": (float("nan"), None),
    "bytes": (b"\xff", "/w=="),
    "a big int": (2**70, 2**70),
    "an exception": (ValueError("a"), "a"),
}


@pytest.mark.parametrize("case", ODD)
def test_an_odd_value_is_shown_somehow(case: str) -> None:
    value, shown = ODD[case]
    stream = json_lines()
    get("a").info("a.b", value=value)
    assert stream.lines[0]["value"] == shown
    console = Stream()
    configure(format="console", stream=console)
    get("a").info("a.b", value=value)
    assert "a.b" in console.text


def test_a_list_in_itself_is_cut() -> None:
    value: list[Any] = []
    value.append(value)
    stream = json_lines()
    get("a").info("a.b", value=value)
    assert stream.lines[0]["event"] == "a.b"


def test_a_stream_that_is_gone_stops_nothing() -> None:
    stream = json_lines()
    stream.close()
    get("a").info("a.b")


def test_a_stream_of_text_alone_will_do() -> None:
    for form in ("json", "console"):
        stream = io.StringIO()
        configure(format=form, stream=stream)
        get("a").info("a.b")
        assert stream.getvalue().endswith("\n")
        assert "a.b" in stream.getvalue()


def test_lines_of_many_threads_do_not_mix() -> None:
    stream = json_lines()
    logger = get("a")
    threads = [
        threading.Thread(target=lambda: [logger.info("a.b", text="x" * 5000) for _ in range(50)])
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {line["text"] for line in stream.lines} == {"x" * 5000}
    assert len(stream.lines) == 400


# --- console or JSON, colours or none -----------------------------------------------------------------------

LOOKS: dict[str, tuple[str, bool, dict[str, str], bool, bool]] = {
    # format, on a terminal, environment -> JSON, colours
    "a terminal": ("auto", True, {}, False, True),
    "a pipe": ("auto", False, {}, True, False),
    "console on a pipe": ("console", False, {}, False, False),
    "JSON on a terminal": ("json", True, {}, True, False),
    "no colours": ("auto", True, {"NO_COLOR": "1"}, False, False),
    "colours by force": ("console", False, {"FORCE_COLOR": "1"}, False, True),
    "none wins over force": ("console", True, {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False, False),
    "an empty NO_COLOR is none": ("console", True, {"NO_COLOR": ""}, False, True),
}


@pytest.mark.parametrize("case", LOOKS)
def test_the_look_follows_the_stream_and_the_environment(
    case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    form, terminal, environ, is_json, coloured = LOOKS[case]
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    stream = Stream(terminal=terminal)
    configure(format=form, stream=stream)
    get("a").info("job.completed", job_id="x")
    assert stream.text.startswith("{") is is_json
    assert ("\x1b[" in stream.text) is coloured


STEERING = [  # what a terminal would obey
    "\x1b[2J\x1b[H", "\x1b]0;title\x07", "\x1b]8;;javascript:alert(1)\x07here\x1b]8;;\x07", "\x1b]8;;file:///etc/passwd\x1b\\here",
    "\x1b]52;c;cm0gLXJm\x07", "\x9b31m", "\x9d0;title\x9c", "\x1bP$qm\x1b\\", "\x07\x08\x08\x7f", "line\rover it", "\u202egnp.exe",
    "\x1b[6n\x1b[c", "\x1b[?1049h",
]  # fmt: skip


@pytest.mark.parametrize("text", STEERING)
@pytest.mark.parametrize("colours", [True, False])
def test_no_text_steers_the_terminal_that_shows_it(text: str, colours: bool) -> None:  # noqa: FBT001
    class Said:
        def __repr__(self) -> str:
            return text

    stream = Stream(terminal=colours)
    configure(level="info", format="console", stream=stream)
    facts = {"error": text, "one": Said(), "deep": [{text: text}]}
    get("pillars.worker").info(Event.JOB_FAILED, exc_info=ValueError(text), **facts)
    logging.getLogger("theirs").warning("said %s", text)
    shown = re.sub(r"\x1b\[[0-9;]*m", "", stream.text) if colours else stream.text
    assert "ValueError" in shown
    assert "said" in shown
    assert all(one.isprintable() or one in "\n\t" for one in shown)


def test_a_traceback_on_the_console_shows_no_locals() -> None:
    stream = Stream()
    configure(format="console", stream=stream)
    secret = SECRET
    try:
        assert secret is None
    except AssertionError:
        get("a").exception("job.failed")
    assert "Traceback" in stream.text
    assert f"'{SECRET}'" not in stream.text.replace("assert 'hunter2' is None", "")


def test_lines_go_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    configure(format="json")
    get("a").info("a.b")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert json.loads(captured.err)["event"] == "a.b"


# --- the standard library -----------------------------------------------------------------------------------


def test_what_libraries_log_comes_out_in_the_same_form() -> None:
    stream = json_lines()
    root = logging.getLogger()  # pytest's own handlers raise where a message does not fit
    root.handlers[:] = [
        handler for handler in root.handlers if isinstance(handler, log._ToStructlog)
    ]
    logging.getLogger("lib").warning("hi %s", "you", extra={"job_id": "a", "event": "taken"})
    logging.getLogger("lib").log(25, "between")
    logging.getLogger("lib").warning("hi %s %d", "you")  # noqa: PLE1206
    logging.getLogger("lib").warning(Hostile())
    try:
        1 / 0  # noqa: B018
    except ZeroDivisionError:
        logging.getLogger("lib").exception("failed")
    found = [(line["level"], line["event"], line["logger"]) for line in stream.lines]
    assert found == [
        ("warning", "hi you", "lib"),
        ("info", "between", "lib"),
        ("warning", "hi %s %d (its arguments do not fit)", "lib"),
        ("warning", "<Hostile> (its arguments do not fit)", "lib"),
        ("error", "failed", "lib"),
    ]
    assert stream.lines[0]["job_id"] == "a"
    assert "ZeroDivisionError" in stream.lines[4]["exception"]


def test_a_level_below_all_known_counts_as_debug() -> None:
    stream = json_lines("debug")
    logger = logging.getLogger("lib.trace")
    logger.setLevel(1)
    logger.log(5, "fine")
    assert stream.lines[0]["level"] == "debug"


def test_uvicorns_loggers_come_out_once() -> None:
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).addHandler(logging.StreamHandler())
        logging.getLogger(name).propagate = False
        logging.getLogger(name).setLevel(logging.NOTSET)  # as before any server ran
    stream = json_lines()
    logging.getLogger("uvicorn.error").info("Started")
    assert [(line["event"], line["logger"]) for line in stream.lines] == [
        ("Started", "uvicorn.error")
    ]


def test_a_handler_of_somebody_else_stays_and_ours_is_there_once() -> None:
    theirs, plain = logging.NullHandler(), logging.StreamHandler()
    root = logging.getLogger()
    root.addHandler(theirs)
    root.addHandler(plain)
    json_lines()
    stream = json_lines()
    assert theirs in root.handlers
    assert plain not in root.handlers
    logging.getLogger("a").info("b")
    assert len(stream.lines) == 1


def test_warnings_are_lines() -> None:
    warnings.simplefilter("always")
    stream = json_lines()
    warnings.warn("old", DeprecationWarning, stacklevel=1)
    (line,) = stream.lines
    assert (line["level"], line["logger"]) == ("warning", "py.warnings")
    assert line["event"].endswith("DeprecationWarning: old")


def test_importing_this_imports_no_structlog() -> None:
    program = (
        "import sys, pillars.log; sys.exit('structlog' in sys.modules or 'msgspec' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_redact_is_a_processor_that_others_may_use() -> None:
    shown = log.redact(None, "info", {"event": "a", "token": "x"})
    assert shown == {"event": "a", "token": "[redacted]"}
