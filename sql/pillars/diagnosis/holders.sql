-- Who keeps vacuum from removing dead rows, the oldest first: open transactions here, replication slots, prepared transactions.
select holders.who, holders.kind, holders.open_for, holders.xids::bigint as xids
from (
    select format('pid %s (%s, %s)', activity.pid, coalesce(nullif(activity.application_name, ''), 'no name'), activity.state) as who,
           'transaction' as kind, pillars.now() - activity.xact_start as open_for,
           greatest(age(activity.backend_xmin), age(activity.backend_xid)) as xids
    from pg_stat_activity activity
    where activity.datname = current_database() and activity.pid <> pg_backend_pid()
      and activity.backend_type in ('client backend', 'walsender') and activity.xact_start is not null
    union all
    select format('slot %s', slot.slot_name), 'slot', null, greatest(age(slot.xmin), age(slot.catalog_xmin))
    from pg_replication_slots slot where slot.xmin is not null or slot.catalog_xmin is not null
    union all
    select format('prepared transaction %s', prepared.gid), 'prepared', pillars.now() - prepared.prepared, age(prepared.transaction)
    from pg_prepared_xacts prepared where prepared.database = current_database()
) holders
order by holders.open_for desc nulls last, holders.xids desc nulls last
limit 5
