"""Every mutant."""

from mutants.kinds import Mutant
from mutants.of_cron import CRON
from mutants.of_enqueues import ENQUEUE
from mutants.of_locks import LOCKS
from mutants.of_service import SERVICE
from mutants.of_settling import SETTLING
from mutants.of_testing import TESTING
from mutants.of_web import WEB
from mutants.of_workers import WORKER

MUTANTS: list[Mutant] = [
    *LOCKS, *SETTLING, *ENQUEUE, *CRON, *WORKER, *SERVICE, *WEB, *TESTING,
]  # fmt: skip
