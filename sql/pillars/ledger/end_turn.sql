-- Give up the migration lock of this session.
select pg_advisory_unlock(1885957228, 1) as yes
