-- The tables whose policies hold for this role and that this transaction has touched without saying for whom: by the locks that it holds until it
-- ends, also where it found no row. A bare row share lock does not count: a foreign key's check takes it, and passes all policies. Nothing is
-- found where act.sql has spoken, where the user is set by hand, or where another role was taken than the session began with. A table comes once
-- for each way in which it is locked. Reads pg_locks, locks nothing. $1 name of the user's setting, $2 the role as protected.sql told it.
select (pg_catalog.pg_identify_object('pg_catalog.pg_class'::pg_catalog.regclass, held.relation, 0)).identity as "table"
from pg_catalog.pg_locks held
where held.pid operator(pg_catalog.=) pg_catalog.pg_backend_pid() and held.locktype operator(pg_catalog.=) 'relation'
  and held.mode operator(pg_catalog.<>) 'RowShareLock'
  and pg_catalog.row_security_active(held.relation)
  and coalesce(pg_catalog.current_setting('pillars.job_id', true), '') operator(pg_catalog.=) ''
  and coalesce(pg_catalog.current_setting($1::pg_catalog.text, true), '') operator(pg_catalog.=) ''
  and pg_catalog.current_setting('role') operator(pg_catalog.=) $2::pg_catalog.text
