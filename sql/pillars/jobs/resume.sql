-- Let a paused job go on; see pillars.resume. Waits for the row's lock. $1 job_id.
select pillars.resume($1::uuid) as answer
