-- Write the schedules of one deployment as its code has them, in name order. A rule that is unchanged keeps its next_run_at. paused_at
-- moves only where the code changed its mind. A name that another deployment owns is not written and not in the answer.
-- Waits for the leader's tick of the same row, a few milliseconds. $1 schedules as JSON, with the next tick of each; $2 deployment.
with given as materialized (
    select schedule.name, schedule.job, schedule.payload::jsonb as payload, schedule.queue, schedule.priority, schedule.max_attempts,
           schedule.timeout, schedule.expires_in, schedule.unique_key, schedule.context, schedule.tags, schedule.every, schedule.crontab,
           schedule.timezone, schedule.catchup, schedule.overlap, schedule.jitter, schedule.catchup_window, schedule.paused,
           schedule.next_run_at
    from jsonb_to_recordset($1::jsonb) schedule (
        name text, job text, payload text, queue text, priority integer, max_attempts integer, timeout interval, expires_in interval,
        unique_key text, context text, tags text[], every interval, crontab text, timezone text, catchup text, overlap text,
        jitter interval, catchup_window interval, paused boolean, next_run_at timestamptz)
)
insert into pillars.schedules as held (
    name, job, payload, queue, priority, max_attempts, timeout, expires_in, unique_key, context, tags, every, crontab, timezone, catchup,
    overlap, jitter, catchup_window, paused_in_code, paused_at, next_run_at, deployment)
select given.name, given.job, given.payload, given.queue, given.priority, given.max_attempts, given.timeout, given.expires_in,
       given.unique_key, given.context, given.tags, given.every, given.crontab, given.timezone, given.catchup, given.overlap, given.jitter,
       given.catchup_window, given.paused, case when given.paused then pillars.now() end, given.next_run_at, $2::text
from given order by given.name
on conflict (name) do update
set job = excluded.job, payload = excluded.payload, queue = excluded.queue, priority = excluded.priority,
    max_attempts = excluded.max_attempts, timeout = excluded.timeout, expires_in = excluded.expires_in, unique_key = excluded.unique_key,
    context = excluded.context, tags = excluded.tags, every = excluded.every, crontab = excluded.crontab, timezone = excluded.timezone,
    catchup = excluded.catchup, overlap = excluded.overlap, jitter = excluded.jitter, catchup_window = excluded.catchup_window,
    paused_in_code = excluded.paused_in_code,
    paused_at = case when excluded.paused_in_code = held.paused_in_code then held.paused_at
                     else case when excluded.paused_in_code then coalesce(held.paused_at, pillars.now()) end end,
    next_run_at = case when (held.every, held.crontab, held.timezone) is not distinct from (excluded.every, excluded.crontab, excluded.timezone)
                            and (excluded.paused_in_code or not held.paused_in_code)
                       then held.next_run_at else excluded.next_run_at end,
    last_error = null, updated_at = pillars.now()
where held.deployment = excluded.deployment
returning held.name
