-- Pause jobs, in the order of their ids, an answer each; see pillars.pause. Waits for each row's lock. $1 job_ids, $2 who asks.
select pillars.pause(asked.job_id, $2::text) as answer
from (select named.job_id from unnest($1::uuid[]) named (job_id) order by named.job_id) asked
