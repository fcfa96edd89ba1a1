-- Stop leading, so that a standby need not wait for the session's end.
select pg_advisory_unlock(1885957228, 4) as yes
