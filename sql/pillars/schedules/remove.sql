-- Remove the schedules of one deployment that its code no longer has. Waits for the leader's tick of such a row. $1 deployment, $2 kept names.
delete from pillars.schedules schedule
where schedule.deployment = $1::text and schedule.name <> all($2::text[])
returning schedule.name
