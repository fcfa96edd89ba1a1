-- Let no worker claim from a queue; what runs goes on. One that is paused stays so since then. $1 queue.
insert into pillars.queues as spoken (name, paused_at) values ($1::text, pillars.now())
on conflict (name) do update set paused_at = coalesce(spoken.paused_at, pillars.now())
