-- Wake the workers of these queues. $1 queue names.
select coalesce(bool_and(pg_notify('pillars', queue.name) is not null), false) as yes from unnest($1::text[]) queue (name)
