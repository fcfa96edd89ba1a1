"""Every check, in the order in which they are made and shown; docs/reference/doctor.md has a paragraph for each."""

from pillars.cli.doctor import code, schema, server, work
from pillars.cli.doctor.finding import Check, Needs

DATABASE, DIRECT, SCHEMA = Needs.DATABASE, Needs.DIRECT, Needs.SCHEMA

CHECKS = (
    Check("code.python", code.python),
    Check("code.imports", code.imports),
    Check("code.settings", code.settings),
    Check("web.port", code.port),
    Check("web.tokens", code.tokens),
    Check("platform.drain", code.drain),
    Check("database.reachable", server.reachable),
    Check("database.writable", server.writable, DATABASE),
    Check("database.latency", server.latency, DATABASE),
    Check("database.clock", server.clock, SCHEMA),
    Check("database.tls", server.tls, DATABASE),
    Check("database.role", server.role, DATABASE),
    Check("database.pooler", server.pooler, DATABASE),
    Check("database.direct", server.direct, DIRECT),
    Check("database.listen", server.listen, DIRECT),
    Check("database.connections", server.connections, DATABASE),
    Check("database.durability", server.durability, DATABASE),
    Check("database.xids", server.xids, DATABASE),
    Check("database.notifications", server.notifications, DATABASE),
    Check("schema.migrations", schema.migrations, DATABASE),
    Check("schema.days", schema.days, SCHEMA),
    Check("schema.vacuum", schema.vacuum, SCHEMA),
    Check("schema.snapshots", schema.snapshots, SCHEMA),
    Check("processes.workers", work.workers, SCHEMA),
    Check("processes.versions", work.versions, SCHEMA),
    Check("jobs.locks", work.locks, SCHEMA),
    Check("jobs.overdue", work.overdue, SCHEMA),
    Check("jobs.waiting", work.waiting, SCHEMA),
    Check("jobs.names", work.names, SCHEMA),
    Check("cron.leader", work.leader, SCHEMA),
    Check("cron.schedules", work.schedules, SCHEMA),
)
CANARY = "jobs.canary"
"""What `--canary` adds."""
