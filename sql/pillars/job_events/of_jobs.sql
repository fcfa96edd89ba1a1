-- What several jobs have said, each after an event of its own, up to one event of all, in order: the first so many. Rides job_events_job_id of the days since.
-- $1 job_ids, $2 after which event_id of each, $3 up to event_id, $4 when the oldest of them was made, $5 how many.
select said.event_id, said.job_id, said.attempt, said.kind, said.body::text, said.created_at
from unnest($1::uuid[], $2::bigint[]) asked (job_id, after)
cross join lateral (
    select one.event_id, one.job_id, one.attempt, one.kind, one.body, one.created_at from pillars.job_events one
    where one.job_id = asked.job_id and one.event_id > asked.after and one.event_id <= $3::bigint and one.created_at >= $4::timestamptz
    order by one.event_id
    limit $5::integer
) said
order by said.event_id
limit $5::integer
