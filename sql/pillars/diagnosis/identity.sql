-- Which database of which cluster this is; a standby has its primary's identifier.
select control.system_identifier as cluster,
       (select here.oid::bigint from pg_database here where here.datname = current_database()) as database,
       current_database()::text as name,
       pg_is_in_recovery() as in_recovery
from pg_control_system() control
