-- Keep vacuum, and whoever attaches days, off the runtime's tables until this transaction ends: an autovacuum gives way only to who has
-- waited for a second, and whoever waits for this lock holds up no claim. Waits for 3 s a table, in the order of their names.
do $$
declare
    named text;
begin
    set local lock_timeout = '3s';
    for named in
        select format('%I.%I', 'pillars', found.relname)
        from pg_class found
        where found.relnamespace = to_regnamespace('pillars') and found.relkind in ('r', 'p') and not found.relispartition
        order by found.relname
    loop
        execute format('lock table %s in share update exclusive mode', named);
    end loop;
end $$
