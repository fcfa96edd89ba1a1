-- The names of all schedules, for a hint.
select schedule.name from pillars.schedules schedule order by schedule.name
