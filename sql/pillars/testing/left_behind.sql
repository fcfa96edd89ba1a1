-- Databases of test runs that are gone: ours to drop, and no session bears the name of the run that made them, "pillars test" and its id,
-- which the database's name repeats. A run is connected before it makes its first database, so the living are never among them.
-- Reads the server's lists of databases and sessions, locks nothing.
select database.datname::text as name
from pg_database database
where database.datname ~ '^pillars_test_[0-9a-f]{12}_[0-9]+$'
  and database.datdba = (select role.oid from pg_roles role where role.rolname = current_user)
  and not exists (
      select from pg_stat_activity session
      where session.application_name = 'pillars test ' || split_part(database.datname, '_', 3))
order by database.datname
