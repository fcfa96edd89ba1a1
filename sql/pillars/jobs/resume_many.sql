-- Let paused jobs go on, in the order of their ids, an answer each; see pillars.resume. Waits for each row's lock. $1 job_ids.
select pillars.resume(asked.job_id) as answer
from (select named.job_id from unnest($1::uuid[]) named (job_id) order by named.job_id) asked
