-- The messages that wait for running jobs, in the order in which they were sent, without those that are known: a job gets none twice. Of jobs that are
-- no longer held nothing is told. Rides the primary key of jobs and job_messages_job_id of each day. Locks nothing.
-- $1 worker, $2 job_ids, $3 tokens, $4 message_ids that are known.
select message.message_id, message.job_id, message.body::text, message.sent_by, message.sent_at
from unnest($2::uuid[], $3::bigint[]) asked (job_id, lock_token)
cross join lateral (
    select job.job_id from pillars.jobs job
    where job.job_id = asked.job_id and job.lock_token = asked.lock_token and job.locked_by = $1::uuid limit 1
) held
cross join lateral (
    select waiting.* from pillars.job_messages waiting
    where waiting.job_id = held.job_id and waiting.message_id <> all($4::bigint[])
    order by waiting.message_id limit 100
) message
order by message.message_id
