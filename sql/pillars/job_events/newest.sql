-- The newest progress and metadata of jobs. Rides job_events_newest. $1 job_ids, $2 when the oldest of them was made.
select newest.job_id, newest.event_id, newest.kind, newest.body::text, newest.created_at
from unnest($1::uuid[]) job (job_id) cross join unnest(array['progress', 'metadata']) kind (kind)
cross join lateral (
    select said.job_id, said.event_id, said.kind, said.body, said.created_at from pillars.job_events said
    where said.job_id = job.job_id and said.kind = kind.kind and said.kind in ('progress', 'metadata') and said.created_at >= $2::timestamptz
    order by said.event_id desc limit 1
) newest
