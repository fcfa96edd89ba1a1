-- Which server process answers. Locks nothing. Asked before the session's search_path is ours.
select pg_catalog.pg_backend_pid() as pid
