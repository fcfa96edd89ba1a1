-- Try to become the leader for as long as this session lives. Never waits.
select pg_try_advisory_lock(1885957228, 4) as yes
