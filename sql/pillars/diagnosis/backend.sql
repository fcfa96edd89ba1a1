-- The server process that runs this statement; a pooler in between told the client of another one.
select pg_backend_pid() as pid
