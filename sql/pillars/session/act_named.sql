-- As act.sql, for drivers below SQLAlchemy. :setting, :user_id, :reason, :job_id, :job_name, :role or null.
with earlier as materialized (
    select coalesce(pg_catalog.current_setting(cast(:setting as pg_catalog.text), true), '') as user_id,
           coalesce(pg_catalog.current_setting('pillars.system', true), '') as reason, pg_catalog.current_setting('role') as role
)
select earlier.user_id, earlier.reason, earlier.role,
       pg_catalog.set_config(cast(:setting as pg_catalog.text), cast(:user_id as pg_catalog.text), true) is not null
       and pg_catalog.set_config('pillars.system', cast(:reason as pg_catalog.text), true) is not null
       and pg_catalog.set_config('pillars.job_id', cast(:job_id as pg_catalog.text), true) is not null
       and pg_catalog.set_config('pillars.job_name', cast(:job_name as pg_catalog.text), true) is not null
       and case when cast(:role as pg_catalog.text) is null then true
                else pg_catalog.set_config('role', cast(:role as pg_catalog.text), true) is not null end as said
from earlier
