-- Let workers claim from a queue again, and wake them. One that is not paused is left alone. $1 queue.
with resumed as (
    update pillars.queues spoken set paused_at = null
    where spoken.name = $1::text and spoken.paused_at is not null
    returning spoken.name
)
select resumed.name, pg_notify('pillars', resumed.name) is null as woken from resumed
