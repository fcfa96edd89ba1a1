-- Note why a schedule could not be ticked; no row where that is noted already, the schedule has moved on, or its row is locked.
-- Locks the schedule, waiting for none. $1 schedule, $2 next_run_at it was computed from, $3 error.
with taken as materialized (
    select schedule.ctid as place from pillars.schedules schedule
    where schedule.name = $1::text and schedule.next_run_at = $2::timestamptz and schedule.last_error is distinct from $3::text
    for update skip locked
)
update pillars.schedules schedule set last_error = $3::text
where schedule.ctid = any(array(select taken.place from taken))
returning schedule.name
