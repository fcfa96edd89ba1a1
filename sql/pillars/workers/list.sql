-- Processes by role, host and start: those seen lately, and dead ones whose rows are not removed yet. Reads workers, a row a process.
-- $1 how long ago a process may have been seen and still counts as alive.
select worker.worker_id, worker.role, worker.host, worker.pid, worker.version, worker.commit_sha as commit, worker.deployment, worker.state,
       worker.queues, worker.slots, worker.running, worker.listening, worker.leads, worker.started_at, worker.seen_at,
       worker.seen_at > pillars.now() - $1::interval as alive
from pillars.workers worker
order by worker.role desc, worker.host, worker.started_at, worker.worker_id
