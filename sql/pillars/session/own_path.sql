-- Let every name of this session's statements mean Postgres's own, whatever stands in other schemas. Locks nothing.
set search_path = pg_catalog, pg_temp
