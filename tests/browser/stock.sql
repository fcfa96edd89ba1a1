-- Something of everything that a dashboard shows: a job in each state, queues, schedules, processes; `test.said` stands in
-- every text that people or programs may choose.

insert into pillars.workers (worker_id, role, host, pid, version, commit_sha, deployment, state, queues, slots, running, listening, leads)
select pillars.uuid7(), role, said, 100 + number, '1.0', said, said, 'running', case when role = 'worker' then array['default', 'mail', said] end,
    case when role = 'worker' then 10 else 0 end, case when role = 'worker' then 3 else 0 end, listening, role = 'cron'
from current_setting('test.said') said,
    (values (1, 'web', null), (2, 'worker', true), (3, 'worker', false), (4, 'cron', null)) process (number, role, listening);
update pillars.workers set seen_at = pillars.now() - interval '5 minutes' where pid = 103;

insert into pillars.queues (name, paused_at) values ('mail', pillars.now()), (current_setting('test.said'), null);

insert into pillars.jobs (job_id, name, queue, payload, context, priority, run_at, created_at, locked_at, locked_by, lock_token, attempt, max_attempts,
    crashes, parked, deadline_at, expires_at, timeout, unique_key, tags, cancel_requested_at, paused_at, waiting_for, last_error, trace)
select pillars.uuid7(), case state when 'ready' then 'jobs.orders.send_receipt' else said end, case when state in ('ready', 'scheduled') then 'mail' else said end,
    jsonb_build_object('order_id', 42, 'to', said, said, jsonb_build_array(said, null, 1.50)), said, 5,
    case state when 'scheduled' then pillars.now() + interval '2 hours' else pillars.now() - interval '90 seconds' end,
    pillars.now() - interval '3 minutes',
    case when state in ('running', 'stopping') then pillars.now() - interval '1 minute' end,
    case when state in ('running', 'stopping') then (select worker_id from pillars.workers where pid = 102) end,
    case when state in ('running', 'stopping') then 7 end,
    1, 4, 0, state in ('waiting', 'paused'),
    case state when 'running' then pillars.now() + interval '14 minutes' end, pillars.now() + interval '1 day', interval '15 minutes',
    case state when 'running' then said end, array['urgent', said],
    case state when 'stopping' then pillars.now() - interval '10 seconds' end,
    case state when 'paused' then pillars.now() end, case state when 'waiting' then said end,
    case state when 'scheduled' then E'ConnectionError: refused\n' || said end, said
from current_setting('test.said') said, unnest(array['scheduled', 'ready', 'running', 'stopping', 'waiting', 'paused']) state;

insert into pillars.finished_jobs (job_id, name, queue, priority, state, payload, context, result, last_error, attempt, max_attempts, crashes,
    lock_token, created_at, started_at, finished_at, tags, trace, unique_key, timeout)
select pillars.uuid7(), said, said, -1, state, jsonb_build_object('to', said), said, case state when 'completed' then to_jsonb(said) end,
    case state when 'completed' then null else 'ValueError: ' || said end, 2, 4, 1, 9, pillars.now() - interval '1 hour',
    pillars.now() - interval '59 minutes', pillars.now() - interval '2 seconds', array[said], said, null, interval '15 minutes'
from current_setting('test.said') said, unnest(array['completed', 'failed', 'cancelled', 'expired']) state;

insert into pillars.attempts (job_id, attempt, lock_token, outcome, error, traceback, started_at)
select job_id, number, number, case number when 1 then 'retried' else 'failed' end, 'ValueError: ' || said,
    E'Traceback (most recent call last):\n  File "jobs/orders.py", line 12, in send\n    raise ValueError(name)\nValueError: ' || said,
    pillars.now() - interval '1 minute'
from current_setting('test.said') said, pillars.finished_jobs, generate_series(1, 2) number where state = 'failed';

insert into pillars.definitions (name, kind, queue, priority, max_attempts, max_crashes, timeout, keep, tags, deployment)
select name, 'async', 'default', 0, 4, 3, interval '15 minutes', 'full', array[]::text[], 'test'
from (select current_setting('test.said') as name union all select 'jobs.orders.send_receipt') known;

insert into pillars.schedules (name, job, payload, queue, max_attempts, every, crontab, timezone, next_run_at, paused_at, deployment, last_error)
values ('crons.nightly', 'jobs.orders.send_receipt', '{}', 'default', 4, null, '0 3 * * 1-5', 'Europe/Berlin', pillars.now() + interval '5 hours', null, 'test', null),
    ('crons.pulse', 'jobs.orders.send_receipt', '{}', 'default', 4, interval '30 seconds', null, 'UTC', pillars.now() + interval '12 seconds', null, 'test', null),
    (current_setting('test.said'), current_setting('test.said'), '{}', current_setting('test.said'), 4, interval '1 day', null, 'UTC',
     pillars.now() + interval '1 minute', pillars.now(), 'test', current_setting('test.said'));
insert into pillars.ticks (schedule, tick, job_id, outcome, missed)
values ('crons.pulse', pillars.now() - interval '18 seconds', pillars.uuid7(), 'enqueued', 2),
    (current_setting('test.said'), pillars.now() - interval '1 day', null, 'late', 0);

insert into pillars.audit (actor, action, target, address, details)
select said, action, said, said, jsonb_build_object(said, said)
from current_setting('test.said') said, (values ('login'), ('login.failed'), ('queue.pause')) done (action);
