-- Let a schedule tick again, from its next tick on: what fell into the pause is not caught up. $1 schedule.
update pillars.schedules schedule
set paused_at = null, next_run_at = case when schedule.paused_at is null then schedule.next_run_at else pillars.now() end
where schedule.name = $1::text
returning schedule.name
