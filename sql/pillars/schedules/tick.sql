-- Decide one tick; see pillars.tick. $1 schedule, $2 next_run_at it was computed from, $3 tick or null, $4 late, $5 missed, $6 next tick.
select ticked.outcome, ticked.job_id
from pillars.tick($1::text, $2::timestamptz, $3::timestamptz, $4::boolean, $5::integer, $6::timestamptz) ticked
