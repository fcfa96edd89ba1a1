-- Write down, in its own transaction, that a job acts as the system. No row comes back, and none is written, where what act.sql said is gone
-- already: the connection is in no transaction. $1 job_id, $2 the job's name, $3 attempt, $4 reason.
insert into pillars.audit (actor, action, target, details)
select pg_catalog.concat('job:', $2::pg_catalog.text), 'job.system', $1::pg_catalog.text,
       pg_catalog.jsonb_build_object('reason', $4::pg_catalog.text, 'attempt', $3::pg_catalog.text::integer)
where coalesce(pg_catalog.current_setting('pillars.job_id', true), '') operator(pg_catalog.=) $1::pg_catalog.text
returning true as yes
