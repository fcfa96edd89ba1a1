-- The lanes that have unparked rows and are not paused, highest priority first. Rides jobs_claim; see pillars.lanes().
-- Where $2 and $3 name lanes, of these only; a skip scan would read what lies dead in front of them.
-- $1 queues or null for all, $2 known lanes: queues, $3 known lanes: priorities.
select lanes.queue, lanes.priority from (
    select lanes.queue, lanes.priority from pillars.lanes() lanes where cardinality($2::text[]) = 0
    union all
    select known.queue, known.priority from unnest($2::text[], $3::integer[]) known (queue, priority)
) lanes
where ($1::text[] is null or lanes.queue = any($1::text[]))
  and not exists (select from pillars.queues paused where paused.name = lanes.queue and paused.paused_at is not null)
order by lanes.priority desc, lanes.queue
