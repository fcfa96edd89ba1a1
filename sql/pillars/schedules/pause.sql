-- Stop the ticks of a schedule; one that is paused stays so since then. Waits for the leader's tick of the row. $1 schedule.
update pillars.schedules schedule set paused_at = coalesce(schedule.paused_at, pillars.now())
where schedule.name = $1::text
returning schedule.name
