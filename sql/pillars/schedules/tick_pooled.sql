-- Decide one tick through a transaction pooler: the leader's lock is held for this statement alone. No row: another holds it.
-- The tick depends on the lock's answer, so that no plan can call it first. Parameters and answer as tick.sql.
with lead as materialized (
    select pg_try_advisory_xact_lock(1885957228, 4) as held
)
select ticked.outcome, ticked.job_id
from lead cross join lateral pillars.tick(
    case when lead.held then $1::text end, $2::timestamptz, $3::timestamptz, $4::boolean, $5::integer, $6::timestamptz) ticked
where lead.held
