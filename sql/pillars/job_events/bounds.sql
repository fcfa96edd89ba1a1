-- The oldest event that is kept, and the last id that was drawn: zero where there is none. Rides job_events_event_id.
select coalesce((select said.event_id from pillars.job_events said order by said.event_id limit 1), 0) as oldest,
       coalesce(pg_sequence_last_value('pillars.job_event_ids'), 0) as drawn
