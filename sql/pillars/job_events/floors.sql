-- The event after which the newest so many of a job's begin. No row of a job that has said no more than that. Rides job_events_job_id of the days since.
-- $1 job_ids, $2 when the oldest of them was made, $3 how many are wanted.
select asked.job_id, floor.event_id
from unnest($1::uuid[]) asked (job_id)
cross join lateral (
    select said.event_id from pillars.job_events said
    where said.job_id = asked.job_id and said.created_at >= $2::timestamptz
    order by said.event_id desc
    offset $3::integer limit 1
) floor
