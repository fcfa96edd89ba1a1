-- Try for the migration lock until this session ends it, for a statement that runs outside a transaction.
select pg_try_advisory_lock(1885957228, 1) as yes
