-- The next statement that brings the history closer to what is to be kept of it; see pillars.next_prune. Locks nothing.
-- $1 keep completed jobs, $2 keep failed ones and attempts, $3 keep what jobs say, $4 histories to let be.
select step.history, step.removes, step.patient, step.statement from pillars.next_prune($1::interval, $2::interval, $3::interval, $4::text[]) step
