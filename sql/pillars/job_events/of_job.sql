-- What one job has said between two events, the later one included, in order. Rides job_events_job_id of the days since it was made.
-- $1 job_id, $2 after event_id, $3 up to event_id, $4 when the job was made, $5 how many.
select said.event_id, said.job_id, said.attempt, said.kind, said.body::text, said.created_at
from pillars.job_events said
where said.job_id = $1::uuid and said.event_id > $2::bigint and said.event_id <= $3::bigint and said.created_at >= $4::timestamptz
order by said.event_id
limit $5::integer
