-- Running jobs whose code goes on long past its deadline, the longest first, as names with their count; not those that rest. Reads jobs once.
-- $1 how long past the deadline is too long.
select job.name, count(*) as jobs, max(pillars.now() - job.deadline_at) as late
from pillars.jobs job
where job.locked_by is not null and job.paused_at is null and job.deadline_at < pillars.now() - $1::interval
group by job.name
order by late desc
