-- Insert jobs in the caller's transaction, or find the unfinished ones that hold their unique keys; notifies in it, once per queue.
-- Writes jobs; waits for others' uncommitted inserts of the same unique keys, in the order of the keys. Text in and out, whatever codecs
-- the caller's connection has. $1 the jobs, a JSON array of pillars.new_job; answers in its order.
select inserted.job_id::pg_catalog.text as job_id, inserted.created from pillars.insert_jobs($1::pg_catalog.text::pg_catalog.json) inserted
