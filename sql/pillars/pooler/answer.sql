-- Which server process answers. Locks nothing.
select pg_backend_pid() as pid
