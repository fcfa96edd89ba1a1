-- Complete a running job inside the transaction of its own code: done, busy or lost (see pillars.complete).
-- Locks and removes its row in jobs, waiting for nobody. Text in and out, whatever codecs the caller's connection has.
-- $1 job_id, $2 lock_token, $3 worker, $4 keep, $5 result as JSON, or null.
select pillars.complete($1::pg_catalog.text::pg_catalog.uuid, $2::pg_catalog.text::bigint, $3::pg_catalog.text::pg_catalog.uuid, $4::pg_catalog.text,
                        $5::pg_catalog.text::pg_catalog.jsonb) as answer
