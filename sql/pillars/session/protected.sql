-- Whether the policies of any table hold for this role, so that touched.sql has something to find and may look, and which role this is.
-- Reads pg_class whole, until the first such table; locks nothing.
select pg_catalog.has_table_privilege('pg_catalog.pg_locks', 'select')
       and exists (select from pg_catalog.pg_class relation where relation.relrowsecurity and pg_catalog.row_security_active(relation.oid)) as protected,
       pg_catalog.current_setting('role') as role
