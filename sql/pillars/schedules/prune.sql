-- Remove ticks that nobody asks for any more; the newest of a schedule stays for the listing. Rides ticks_created_at. $1 keep.
with old as materialized (
    select tick.ctid as place, tick.schedule, tick.tick from pillars.ticks tick
    where tick.created_at < pillars.now() - $1::interval
    order by tick.created_at limit 10000
)
delete from pillars.ticks tick
where tick.ctid = any(array(
    select old.place from old
    where exists (select from pillars.ticks newer where newer.schedule = old.schedule and newer.tick > old.tick)))
returning tick.schedule as name
