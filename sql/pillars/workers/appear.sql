-- Say that a process is there, or still there. $1 worker, $2 role, $3 host, $4 pid, $5 version, $6 commit, $7 deployment, $8 state,
-- $9 queues, $10 slots, $11 running jobs, $12 listening, $13 leads.
insert into pillars.workers (worker_id, role, host, pid, version, commit_sha, deployment, state, queues, slots, running, listening, leads)
values ($1::uuid, $2::text, $3::text, $4::integer, $5::text, $6::text, $7::text, $8::text, $9::text[], $10::integer, $11::integer,
        $12::boolean, $13::boolean)
on conflict (worker_id) do update
set state = excluded.state, running = excluded.running, listening = excluded.listening, leads = excluded.leads, seen_at = pillars.now()
