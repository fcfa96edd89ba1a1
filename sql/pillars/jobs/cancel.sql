-- Cancel a job; see pillars.cancel. Waits for the row's lock. $1 job_id.
select pillars.cancel($1::uuid) as answer
