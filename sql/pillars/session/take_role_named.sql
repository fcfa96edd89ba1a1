-- As take_role.sql, for drivers below SQLAlchemy. :job_id and :role or null.
select coalesce(pg_catalog.current_setting('pillars.job_id', true), '') operator(pg_catalog.=) cast(:job_id as pg_catalog.text) as acting,
       wanted.oid is not null as known,
       case when pg_catalog.pg_has_role(session_user, wanted.oid, case when cast(pg_catalog.current_setting('server_version_num') as integer)
                                                                                   operator(pg_catalog.>=) 160000 then 'SET' else 'MEMBER' end)
            then pg_catalog.set_config('role', cast(wanted.rolname as pg_catalog.text), true) is not null else false end as taken,
       pg_catalog.format('grant %I to %I', coalesce(cast(:role as pg_catalog.text), ''), session_user) as remedy
from (values (1)) one (row)
left join pg_catalog.pg_roles wanted on cast(wanted.rolname as pg_catalog.text) operator(pg_catalog.=) cast(:role as pg_catalog.text)
