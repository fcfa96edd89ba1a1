-- Try for the migration lock until this transaction ends. Never the waiting form: who waits holds a snapshot, for which a concurrent
-- index build in another process would wait in turn.
select pg_try_advisory_xact_lock(1885957228, 1) as yes
