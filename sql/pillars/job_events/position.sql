-- The newest event: what comes later has a higher id. Zero where none is kept. Rides job_events_event_id.
select coalesce((select said.event_id from pillars.job_events said order by said.event_id desc limit 1), 0) as event_id, pillars.now() as now
