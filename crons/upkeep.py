"""When the jobs of jobs/upkeep.py run. A schedule is a value; its name is where it stands: `crons.upkeep.nightly`."""

from jobs import upkeep
from pillars import crontab, every

nightly = crontab("0 3 * * *", upkeep.digest, tz="Europe/Berlin")
pulse = every("30s", upkeep.pulse)
tidy = every("1h", upkeep.prune)
