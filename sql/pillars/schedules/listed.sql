-- Every schedule with its last tick, by name. Rides the primary key of ticks. $1 one schedule (null: all).
select schedule.name, schedule.job, schedule.every, schedule.crontab, schedule.timezone, schedule.catchup, schedule.overlap, schedule.jitter,
       schedule.catchup_window, case when schedule.paused_at is null then schedule.next_run_at end as next_run_at, schedule.paused_at,
       schedule.deployment, schedule.last_error, last.tick as last_tick, last.outcome as last_outcome, last.job_id as last_job_id,
       last.missed as last_missed
from pillars.schedules schedule
left join lateral (
    select tick.tick, tick.outcome, tick.job_id, tick.missed from pillars.ticks tick
    where tick.schedule = schedule.name
    order by tick.tick desc limit 1
) last on true
where $1::text is null or schedule.name = $1::text
order by schedule.name
