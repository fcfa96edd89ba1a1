-- The unfinished job that holds a unique key, if any. Rides jobs_unique. $1 unique key.
select job.job_id from pillars.jobs job where job.unique_key = pillars.hashed_key($1::text)
