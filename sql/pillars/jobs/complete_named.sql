-- As complete.sql, for drivers below SQLAlchemy. :job_id, :lock_token, :worker_id, :keep, :result as JSON, or null.
select pillars.complete(
    cast(cast(:job_id as pg_catalog.text) as pg_catalog.uuid), cast(cast(:lock_token as pg_catalog.text) as bigint),
    cast(cast(:worker_id as pg_catalog.text) as pg_catalog.uuid), cast(:keep as pg_catalog.text),
    cast(cast(:result as pg_catalog.text) as pg_catalog.jsonb)) as answer
