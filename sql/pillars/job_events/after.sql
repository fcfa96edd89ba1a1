-- What all jobs have said since an event, in order. Rides job_events_event_id of the days since. $1 event_id, $2 a time before it was written, $3 how many.
select said.event_id, said.job_id, said.attempt, said.kind, said.body::text, said.created_at
from pillars.job_events said
where said.event_id > $1::bigint and said.created_at >= $2::timestamptz
order by said.event_id
limit $3::integer
