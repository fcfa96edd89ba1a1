-- What became of a job's attempts, as attempts.sql shows it, with the long texts cut. Rides attempts_job_id of the days since $2.
-- $1 job_id, $2 not ended before, $3 at most so many, $4 at most so many characters of a text.
select attempt.attempt, attempt.outcome, left(attempt.error, $4::integer) as error, left(attempt.traceback, $4::integer) as traceback,
       attempt.locked_by, attempt.started_at, attempt.ended_at
from pillars.attempts attempt
where attempt.job_id = $1::uuid and attempt.ended_at >= $2::timestamptz
order by attempt.ended_at desc, attempt.attempt desc
limit $3::integer
