-- What this role may do: migrate, which creates the schema, or in it; and work, as the owner of the history, or as one that may have its days
-- made and removed, and claim. Looked up in the catalog: to_regclass refuses to answer a role that may not use the schema.
select current_user::text as name,
       to_regnamespace('pillars') is not null as schema_is_there,
       case when to_regnamespace('pillars') is null then has_database_privilege(current_database(), 'create')
            else has_schema_privilege(to_regnamespace('pillars'), 'create') end as may_create,
       coalesce((
           select pg_has_role(history.relowner, 'usage')
               or has_schema_privilege(to_regnamespace('pillars'), 'usage') and has_table_privilege(history.oid, 'insert')
                  and coalesce((select has_function_privilege(routine.oid, 'execute') from pg_proc routine
                                where routine.proname = 'remove_day' and routine.pronamespace = to_regnamespace('pillars')), false)
           from pg_class history
           where history.relname = 'finished_jobs' and history.relnamespace = to_regnamespace('pillars')), true) as may_work
