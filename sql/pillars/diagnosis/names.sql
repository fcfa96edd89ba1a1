-- Names of the jobs that wait, who has defined them, and whether they are paused. Reads jobs once.
select job.name, count(*) as jobs, definition.deployment, definition.paused_at is not null as paused
from pillars.jobs job
left join pillars.definitions definition on definition.name = job.name
where job.locked_by is null
group by job.name, definition.deployment, definition.paused_at
order by job.name
