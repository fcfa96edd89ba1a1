-- Make the job of a schedule now, and no tick; where its unique key is held, the answer is the unfinished job that holds it.
-- Writes jobs and notifies; the schedule is only read. $1 schedule, $2 job_id.
select made.stored_id as job_id, made.created
from pillars.schedules schedule
cross join lateral pillars.insert_job(
    $2::uuid, schedule.job, schedule.queue, schedule.payload,
    coalesce(schedule.context, format('schedule %s run by hand', schedule.name)), schedule.priority, null::timestamptz, null::interval,
    schedule.expires_in, schedule.max_attempts, schedule.timeout, schedule.unique_key, schedule.tags, null::text) made
where schedule.name = $1::text
