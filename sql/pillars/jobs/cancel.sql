-- Cancel a job; see pillars.cancel. Waits for the row's lock. $1 job_id,
-- $2 who asks.
select pillars.cancel($1::uuid, $2::text) as answer
