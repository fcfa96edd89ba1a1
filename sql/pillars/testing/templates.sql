-- The templates of a project, finished or half made. Reads the server's list of databases, locks nothing. $1 how their names begin.
select database.datname::text as name, database.datistemplate as sealed
from pg_database database
where starts_with(database.datname, $1::text)
order by database.datname
