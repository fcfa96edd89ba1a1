-- The newest unfinished job of a name, whether it is paused or was asked to be, and how old it is. No row: none is unfinished.
-- Walks the primary key of jobs backwards until it finds one, through all of the table where there is none: an index by name would cost every enqueue.
-- $1 name.
select job.job_id, job.paused_at is not null or job.pause_requested_at is not null as paused,
       pillars.now() - job.created_at as age
from pillars.jobs job
where job.name = $1::text
order by job.job_id desc
limit 1
