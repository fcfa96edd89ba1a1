-- As insert_jobs.sql, for drivers below SQLAlchemy. :jobs a JSON array of pillars.new_job.
select inserted.job_id::pg_catalog.text as job_id, inserted.created from pillars.insert_jobs(cast(cast(:jobs as pg_catalog.text) as pg_catalog.json)) inserted
