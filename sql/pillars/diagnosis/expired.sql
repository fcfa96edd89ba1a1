-- Locks that expired so long ago that a sweep should have given their jobs back. Reads locks, a row a claim. $1 how long ago.
select count(*) as locks, coalesce(sum(cardinality(lock.job_ids)), 0)::bigint as jobs,
       coalesce(max(pillars.now() - lock.expires_at), interval '0') as late
from pillars.locks lock
where lock.expires_at < pillars.now() - $1::interval
