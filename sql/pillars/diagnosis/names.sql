-- Names of the jobs that wait, and who has defined them. Reads jobs once.
select job.name, count(*) as jobs, definition.deployment
from pillars.jobs job
left join pillars.definitions definition on definition.name = job.name
where job.locked_by is null
group by job.name, definition.deployment
order by job.name
