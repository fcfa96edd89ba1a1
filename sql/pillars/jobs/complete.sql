-- Complete a running job inside the transaction of its own code: done, busy or lost (see pillars.complete).
-- Locks and removes its row in jobs, waiting for nobody. Text in and out, whatever codecs the caller's connection has.
-- $1 job_id, $2 lock_token, $3 keep, $4 result as JSON, or null.
select pillars.complete($1::text::uuid, $2::text::bigint, $3::text, $4::text::jsonb) as answer
