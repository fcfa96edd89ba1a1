-- Wake the workers of these queues. Nothing is lost where the server dies before its log is written, so nobody waits for that.
-- $1 queue names.
select set_config('synchronous_commit', 'off', true) is not null
       and coalesce(bool_and(pg_notify('pillars', queue.name) is not null), false) as yes
from unnest($1::text[]) queue (name)
