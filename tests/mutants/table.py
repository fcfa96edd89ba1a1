"""Every mutant."""

from mutants.kinds import Mutant
from mutants.of_children import CHILDREN_MUTANTS
from mutants.of_cron import CRON
from mutants.of_enqueues import ENQUEUE
from mutants.of_failover import FAILOVER
from mutants.of_locks import LOCKS
from mutants.of_login import LOGIN
from mutants.of_migrations import MIGRATIONS
from mutants.of_names import NAMED
from mutants.of_roles import ROLES
from mutants.of_row_security import ROW_SECURITY
from mutants.of_sayings import SAYINGS
from mutants.of_secrets import SECRETS
from mutants.of_service import SERVICE
from mutants.of_settling import SETTLING
from mutants.of_streams import STREAMS
from mutants.of_testing import TESTING
from mutants.of_web import WEB
from mutants.of_workers import WORKER

MUTANTS: list[Mutant] = [
    *CHILDREN_MUTANTS, *CRON, *ENQUEUE, *FAILOVER, *LOCKS, *LOGIN, *MIGRATIONS, *NAMED, *SAYINGS, *SECRETS, *ROLES, *ROW_SECURITY, *SERVICE, *SETTLING,
    *STREAMS, *TESTING,
    *WEB, *WORKER,
]  # fmt: skip
