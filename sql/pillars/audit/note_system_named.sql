-- As note_system.sql, for drivers below SQLAlchemy. :job_id, :job_name, :attempt and :reason .
insert into pillars.audit (actor, action, target, details)
select pg_catalog.concat('job:', cast(:job_name as pg_catalog.text)), 'job.system', cast(:job_id as pg_catalog.text),
       pg_catalog.jsonb_build_object('reason', cast(:reason as pg_catalog.text), 'attempt', cast(cast(:attempt as pg_catalog.text) as integer))
where coalesce(pg_catalog.current_setting('pillars.job_id', true), '') operator(pg_catalog.=) cast(:job_id as pg_catalog.text)
returning true as yes
