-- Say for whom a transaction acts, until it ends: settings that policies, triggers and defaults ask, and a role where one is given. Answers with
-- what was said before, so that a block inside somebody's transaction can say that again. Locks nothing. Every name has its schema, and all is
-- text: it runs on connections of the caller's, too.
-- $1 name of the user's setting, $2 user or '', $3 the system's reason or '', $4 job_id, $5 the job's name, $6 role, or null to leave it.
with earlier as materialized (
    select coalesce(pg_catalog.current_setting($1::pg_catalog.text, true), '') as user_id,
           coalesce(pg_catalog.current_setting('pillars.system', true), '') as reason, pg_catalog.current_setting('role') as role
)
select earlier.user_id, earlier.reason, earlier.role,
       pg_catalog.set_config($1::pg_catalog.text, $2::pg_catalog.text, true) is not null
       and pg_catalog.set_config('pillars.system', $3::pg_catalog.text, true) is not null
       and pg_catalog.set_config('pillars.job_id', $4::pg_catalog.text, true) is not null
       and pg_catalog.set_config('pillars.job_name', $5::pg_catalog.text, true) is not null
       and case when $6::pg_catalog.text is null then true else pg_catalog.set_config('role', $6::pg_catalog.text, true) is not null end as said
from earlier
