-- A stranger's schema, in which everything that our statements name stands once more, better fitting or earlier found than Postgres's own.
-- Whatever of it is run counts itself, also where its transaction is undone, and fails. $1 in the text: the words of our statements.
create schema traps;
create sequence traps.caught;
grant usage on schema traps to public;

create function traps.spring(what text) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform nextval('traps.caught');
    raise exception 'a trap was sprung: %', what;
end $$;

-- A function of every name and of every argument type that it takes, also of the concrete types for those that take any.
do $$
declare
    found record;
    arguments text[];
    made text;
begin
    for found in
        select distinct routine.proname as name, routine.proargtypes::oid[]::regtype[]::text[] as arguments, routine.prokind = 'a' as aggregates
        from pg_proc routine
        where routine.pronamespace = 'pg_catalog'::regnamespace and routine.prokind in ('f', 'a', 'w') and routine.pronargs < 5
          and routine.proname = any(string_to_array(current_setting('traps.words'), ' '))
    loop
        for made in select unnest(array['uuid', 'text', 'bigint', 'integer', 'timestamptz', 'jsonb', 'interval', 'boolean']) loop
            arguments := array(
                select case when argument.type in ('anyarray', 'anycompatiblearray') then made || '[]'
                            when argument.type like 'any%' or argument.type = '"any"' then made else argument.type end
                from unnest(found.arguments) with ordinality argument (type, place) order by argument.place);
            begin
                execute format(
                    'create or replace function traps.%I(%s) returns %s language plpgsql as $f$ begin perform traps.spring(%L); return null; end $f$',
                    found.name, array_to_string(arguments, ', '), made, found.name);
            exception when others then
                null; -- of types that no such function takes
            end;
            exit when arguments = found.arguments;
        end loop;
    end loop;
end $$;

-- Every operator between types that our columns have.
do $$
declare
    found record;
    name text;
begin
    for found in
        select operator.oprname as sign, nullif(operator.oprleft, 0)::regtype::text as a, operator.oprright::regtype::text as b, operator.oprresult::regtype::text as result
        from pg_operator operator
        where operator.oprnamespace = 'pg_catalog'::regnamespace and operator.oprresult <> 0 and operator.oprleft <> 0
          and operator.oprleft::regtype::text !~ 'any|internal|cstring' and operator.oprright::regtype::text !~ 'any|internal|cstring'
    loop
        name := 'o' || md5(found.sign || coalesce(found.a, '') || found.b);
        begin
            execute format('create function traps.%I(%s, %s) returns %s language plpgsql as $f$ begin perform traps.spring(%L); return null; end $f$',
                           name, found.a, found.b, found.result, found.sign);
            execute format('create operator traps.%s (function = traps.%I, leftarg = %s, rightarg = %s)', found.sign, name, found.a, found.b);
        exception when others then
            null; -- such as =>, which nobody may make any more
        end;
    end loop;
end $$;

-- What fits our domains better than anything of Postgres's.
do $$
declare
    sign text;
    of text;
begin
    if to_regtype('pillars.moment') is null then
        return;
    end if;
    foreach sign in array array['<', '<=', '>', '>=', '=', '<>', '+', '-'] loop
        for of in select unnest(array['pillars.moment, timestamptz', 'pillars.counter, integer', 'text, text[]', 'uuid, uuid[]']) loop
            begin
                execute format('create function traps.%I(%s) returns boolean language plpgsql as $f$ begin return traps.spring(%L); end $f$',
                               'd' || md5(sign || of), of, of);
                execute format('create operator traps.%s (function = traps.%I, leftarg = %s, rightarg = %s)', sign,
                               'd' || md5(sign || of), split_part(of, ', ', 1), split_part(of, ', ', 2));
            exception when others then
                null;
            end;
        end loop;
    end loop;
end $$;

-- Relations of the catalog, and types.
do $$
declare
    found name;
begin
    for found in
        select relation.relname from pg_class relation
        where relation.relnamespace = 'pg_catalog'::regnamespace and relation.relkind in ('r', 'v')
          and relation.relname = any(string_to_array(current_setting('traps.words'), ' '))
    loop
        begin
            execute format('create view traps.%I as select * from pg_catalog.%I where traps.spring(%L)', found, found, found);
            execute format('grant select on traps.%I to public', found);
        exception when invalid_table_definition then
            null; -- of pg_attribute, which has a column of any array
        end;
    end loop;
    foreach found in array array['text', 'uuid', 'jsonb', 'json', 'timestamptz', 'date', 'regclass', 'name'] loop
        execute format('create domain traps.%I as pg_catalog.%I check (traps.spring(%L))', found, found, found);
    end loop;
end $$;
