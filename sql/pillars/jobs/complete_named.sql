-- As complete.sql, for drivers below SQLAlchemy. :job_id, :lock_token, :keep, :result as JSON, or null.
select pillars.complete(
    cast(cast(:job_id as text) as uuid), cast(cast(:lock_token as text) as bigint), cast(:keep as text),
    cast(cast(:result as text) as jsonb)) as answer
