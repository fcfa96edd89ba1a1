-- Pause a job; see pillars.pause. Waits for the row's lock. $1 job_id, $2 who asks.
select pillars.pause($1::uuid, $2::text) as answer
