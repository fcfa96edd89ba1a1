-- Our tables by their dead rows, as the statistics have them: those most in need of a vacuum.
select tables.relname::text as name, tables.n_live_tup as live, tables.n_dead_tup as dead,
       pg_total_relation_size(tables.relid) as bytes,
       pillars.now() - greatest(tables.last_vacuum, tables.last_autovacuum) as vacuumed_ago
from pg_stat_user_tables tables
where tables.schemaname = 'pillars'
order by tables.n_dead_tup desc, tables.relname
limit 5
