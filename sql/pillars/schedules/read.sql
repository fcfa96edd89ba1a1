-- What the leader asks every turn: the time, what is due, when the next is due, whether jobs wait for the one before them; and, riding
-- along where $1 says so, a sweep (see pillars.sweep). One row at least; the schedule's columns are null where nothing is due.
-- Reads schedules, a small table, whole; rides jobs_waiting. Locks nothing itself. $1 sweep too.
with swept as materialized (
    select done.swept, done.rescued, done.failed, done.cancelled, done.expired, done.parked from pillars.sweep() done where $1::boolean
), awake as materialized (
    select schedule.name, schedule.every, schedule.crontab, schedule.timezone, schedule.catchup, schedule.catchup_window,
           schedule.next_run_at
    from pillars.schedules schedule where schedule.paused_at is null
)
select pillars.now() as now,
       (select min(awake.next_run_at) from awake where awake.next_run_at > pillars.now()) as next_due_at,
       exists (select from pillars.jobs job
               where job.parked and job.waiting_for >= 'job ' and job.waiting_for < 'job!') as queued,
       swept.swept, swept.rescued, swept.failed, swept.cancelled, swept.expired, swept.parked,
       due.name, due.every, due.crontab, due.timezone, due.catchup, due.catchup_window, due.next_run_at
from (values (true)) turn
left join swept on true
left join awake due on due.next_run_at <= pillars.now()
order by due.next_run_at, due.name
