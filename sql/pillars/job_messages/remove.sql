-- Remove messages that running jobs are done with, fenced by their locks: of a job that is no longer held none goes, and its next attempt gets them.
-- Rides the primary key of jobs and job_messages_job_id of each day. Locks the rows it removes. Returns their ids.
-- $1 worker, $2 job_ids, $3 tokens, $4 message_ids, one of each a message.
delete from pillars.job_messages message
using (
    select asked.job_id, asked.message_id from unnest($2::uuid[], $3::bigint[], $4::bigint[]) asked (job_id, lock_token, message_id)
    cross join lateral (
        select from pillars.jobs job
        where job.job_id = asked.job_id and job.lock_token = asked.lock_token and job.locked_by = $1::uuid limit 1
    ) held
) done
where message.job_id = done.job_id and message.message_id = done.message_id
returning message.message_id
