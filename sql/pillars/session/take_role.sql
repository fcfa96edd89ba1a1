-- Take a role until the transaction ends, where the session's own may: whether what act.sql said still stands (it does not without a transaction),
-- whether there is such a role, whether it was taken, and the statement that would let it be. Reads pg_roles, locks nothing.
-- $1 role, or null to take none, $2 job_id.
select coalesce(pg_catalog.current_setting('pillars.job_id', true), '') operator(pg_catalog.=) $2::pg_catalog.text as acting,
       wanted.oid is not null as known,
       case when pg_catalog.pg_has_role(session_user, wanted.oid, case when cast(pg_catalog.current_setting('server_version_num') as integer)
                                                                                   operator(pg_catalog.>=) 160000 then 'SET' else 'MEMBER' end)
            then pg_catalog.set_config('role', wanted.rolname::pg_catalog.text, true) is not null else false end as taken,
       pg_catalog.format('grant %I to %I', coalesce($1::pg_catalog.text, ''), session_user) as remedy
from (values (1)) one (row)
left join pg_catalog.pg_roles wanted on wanted.rolname::pg_catalog.text operator(pg_catalog.=) $1::pg_catalog.text
