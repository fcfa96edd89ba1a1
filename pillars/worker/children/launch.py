"""Run by a child before its program: bounds it, ties its life to its worker's, and becomes the program.

A script of its own, without the runtime or site-packages, so that it takes little; the arguments are a JSON text and the program's words.
"""

import ctypes
import fcntl
import json
import os
import resource
import signal
import sys
from contextlib import suppress

FROM_WORKER, TO_WORKER = 3, 4
HIGH = 10
PR_SET_PDEATHSIG = 1  # of <linux/prctl.h>
MORE_LIKELY = "500"  # of -1000 to 1000: where memory runs out, the kernel ends it before its worker
NOT_FOUND, NOT_RUN = 127, 126  # as shells have it
MOST_DESCRIPTORS = 1 << 16


def main(told: str, words: list[str]) -> None:
    orders = json.loads(told)
    _place_descriptors(orders["reads"], orders["writes"])
    _die_with(orders["parent"])
    _bound(orders["memory"], orders["cpu_seconds"])
    with suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as score:  # noqa: PTH123 - pathlib takes longer to import than all of this
        score.write(MORE_LIKELY)
    for number in (
        signal.SIGPIPE,
        signal.SIGXFSZ,
    ):  # which this interpreter ignores, and a program would inherit
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    try:
        os.execvp(words[0], words)  # noqa: S606 - no shell reads them
    except OSError as error:
        sys.stderr.write(f"{words[0]}: {error.strerror}\n")
        sys.stderr.flush()
        os._exit(NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_RUN)


def _place_descriptors(reads: int, writes: int) -> None:
    """Put ours where programs look for them, and close all others."""
    ours = [
        fcntl.fcntl(one, fcntl.F_DUPFD, HIGH) for one in (reads, writes)
    ]  # out of each other's way
    for one, place in zip(ours, (FROM_WORKER, TO_WORKER), strict=True):
        os.dup2(one, place)
    os.closerange(TO_WORKER + 1, MOST_DESCRIPTORS)


def _die_with(parent: int) -> None:
    """Be killed when the worker's thread that started us ends, however it ends."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it has ended before
        os._exit(1)


def _bound(memory: int | None, cpu_seconds: int | None) -> None:
    """Of data, not of addresses, of which threads and runtimes reserve far more than they use."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    if memory is not None:
        least = _within(memory, resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (least, least))
    if cpu_seconds is not None:
        most = resource.getrlimit(resource.RLIMIT_CPU)[1]
        resource.setrlimit(resource.RLIMIT_CPU, (_within(cpu_seconds, resource.RLIMIT_CPU), most))


def _within(wanted: int, kind: int) -> int:
    """No more than the system lets us have."""
    most = resource.getrlimit(kind)[1]
    return wanted if most == resource.RLIM_INFINITY else min(wanted, most)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
