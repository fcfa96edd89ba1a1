-- What this role may do. Migrations create the schema, or in it; every worker attaches days to the history, as only its owner may.
-- Looked up in the catalog: to_regclass refuses to answer a role that may not use the schema.
select current_user::text as name,
       to_regnamespace('pillars') is not null as schema_is_there,
       case when to_regnamespace('pillars') is null then has_database_privilege(current_database(), 'create')
            else has_schema_privilege(to_regnamespace('pillars'), 'create') end as may_create,
       coalesce((select pg_has_role(history.relowner, 'usage') from pg_class history
                 where history.relname = 'finished_jobs' and history.relnamespace = to_regnamespace('pillars')), true) as owns_history
