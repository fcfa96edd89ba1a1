-- Say something to a job; see pillars.send. $1 job_id, $2 message, $3 who sends it.
select pillars.send($1::uuid, $2::jsonb, $3::text) as answer
