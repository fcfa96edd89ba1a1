-- The statements that are missing between this database and the rights below, in the order in which they are to run, each by itself; no row
-- where all stands. What they give or take is told in words that Postgres reads, with every name quoted. Reads the catalog, locks nothing.
--
-- `decided` says of each object in the schema what a role may do with it, and nobody may do more; the owner may do anything. A day of the
-- history is nobody's but the owner's: it is reached through its parent. A new table, view, sequence or function gets its row here.
with decided (object, of_enqueue, of_worker, of_viewer) as (values
    ('jobs', '', 'select insert update delete', ''),
    ('locks', '', 'select insert update delete', ''),
    ('locks_lock_token_seq', '', 'usage', ''),
    ('finished_jobs', '', 'select insert update delete', ''),
    ('finished_completed', '', '', ''),
    ('finished_ended', '', '', ''),
    ('attempts', '', 'select insert', ''),
    ('job_events', '', 'select insert', ''),
    ('job_event_ids', '', 'usage', ''),
    ('job_messages', '', 'select insert delete', ''),
    ('job_message_ids', '', 'usage', ''),
    ('definitions', '', 'select insert update', 'select'),
    ('queues', '', 'select insert update', 'select'),
    ('workers', '', 'select insert update delete', 'select'),
    ('schedules', '', 'select insert update delete', ''),
    ('ticks', '', 'select insert update delete', 'select'),
    ('counts', '', 'select update delete', ''),
    ('accounts', '', 'select', ''),
    ('sessions', '', 'select insert delete', ''),
    ('login_attempts', '', 'select insert update', ''),
    ('audit', '', 'select insert', ''),
    ('audit_audit_id_seq', '', '', ''),
    ('migrations', '', 'select', ''),
    ('all_jobs', '', 'select', ''),
    ('queue_stats', '', 'select', 'select'),
    ('redacted_jobs', '', '', 'select'),
    ('redacted_attempts', '', '', 'select'),
    ('redacted_schedules', '', '', 'select'),
    ('now', '', 'execute', 'execute'),
    ('uuid7', '', 'execute', ''),
    ('hashed_key', '', 'execute', ''),
    ('cancelled_by', '', 'execute', ''),
    ('ended', '', 'execute', ''),
    ('kept', '', 'execute', ''),
    ('shown', '', '', ''),
    ('enqueue', 'execute', 'execute', ''),
    ('insert_job', '', 'execute', ''),
    ('insert_jobs', '', 'execute', ''),
    ('own_channel', '', 'execute', ''),
    ('asking', '', 'execute', ''),
    ('pause', '', 'execute', ''),
    ('resume', '', 'execute', ''),
    ('pause_name', '', 'execute', ''),
    ('resume_name', '', 'execute', ''),
    ('unpark_name', '', 'execute', ''),
    ('cancel', '', 'execute', ''),
    ('send', '', 'execute', ''),
    ('complete', '', 'execute', ''),
    ('make_days', '', 'execute', ''),
    ('remove_day', '', 'execute', ''),
    ('next_prune', '', 'execute', ''),
    ('prune_people', '', 'execute', ''),
    ('rescue', '', 'execute', ''),
    ('expire', '', 'execute', ''),
    ('lanes', '', 'execute', ''),
    ('park_unknown', '', 'execute', ''),
    ('park_paused', '', 'execute', ''),
    ('forget_workers', '', 'execute', ''),
    ('analyze_grown', '', 'execute', ''),
    ('sweep', '', 'execute', ''),
    ('utc_text', '', 'execute', ''),
    ('tick', '', 'execute', ''),
    ('ended_as', '', 'execute', ''),
    ('was_noted', '', 'execute', ''),
    ('unfinished', '', 'execute', ''),
    ('count_large', '', 'execute', '')
), ours (role) as (
    values ('pillars_owner'), ('pillars_enqueue'), ('pillars_worker'), ('pillars_viewer')
), owner as (
    select role.oid from pg_roles role where role.rolname = 'pillars_owner'
), place as (
    select place.oid, place.nspowner, place.nspacl from pg_namespace place where place.nspname = 'pillars'
), objects as (
    select 'schema' as kind, 'pillars' as name, place.nspowner as owner, 'pillars' as said, place.nspacl as rights, 'n'::"char" as sort
    from place
    union all
    select case relation.relkind when 'S' then 'sequence' when 'v' then 'view' else 'table' end, relation.relname, relation.relowner,
           format('pillars.%I', relation.relname), relation.relacl, case relation.relkind when 'S' then 's' else 'r' end::"char"
    from place join pg_class relation on relation.relnamespace = place.oid
    where relation.relkind in ('r', 'p', 'v', 'S')
    union all
    select 'routine', routine.proname, routine.proowner, format('pillars.%I(%s)', routine.proname, oidvectortypes(routine.proargtypes)),
           routine.proacl, 'f'
    from place join pg_proc routine on routine.pronamespace = place.oid
    union all
    select case type.typtype when 'd' then 'domain' else 'type' end, type.typname, type.typowner, format('pillars.%I', type.typname), null, null
    from place join pg_type type on type.typnamespace = place.oid
    left join pg_class relation on relation.oid = type.typrelid
    where type.typtype in ('d', 'e') or type.typtype = 'c' and relation.relkind = 'c'
), wanted as (
    select 'schema' as kind, 'pillars' as said, role.name as grantee, 'usage' as privilege
    from unnest(array['pillars_enqueue', 'pillars_worker', 'pillars_viewer']) role (name)
    union all
    select case object.kind when 'view' then 'table' else object.kind end, object.said, role.name, privilege.name
    from decided
    join objects object on object.name = decided.object and object.sort <> 'n'
    cross join lateral (values ('pillars_enqueue', decided.of_enqueue), ('pillars_worker', decided.of_worker),
                               ('pillars_viewer', decided.of_viewer)) role (name, privileges)
    cross join lateral regexp_split_to_table(nullif(role.privileges, ''), ' ') privilege (name)
), granted as (
    select case object.kind when 'view' then 'table' else object.kind end as kind, object.said, coalesce(role.rolname, 'public') as grantee, lower(one.privilege_type) as privilege
    from objects object
    cross join lateral aclexplode(coalesce(object.rights, acldefault(object.sort, object.owner))) one
    left join pg_roles role on role.oid = one.grantee
    where one.grantee = 0 or role.rolname in (select ours.role from ours) and one.grantee <> object.owner
), by_column as (
    select format('pillars.%I', relation.relname) as said, coalesce(role.rolname, 'public') as grantee
    from place join pg_class relation on relation.relnamespace = place.oid
    join pg_attribute attribute on attribute.attrelid = relation.oid and attribute.attacl is not null
    cross join lateral aclexplode(attribute.attacl) one
    left join pg_roles role on role.oid = one.grantee
    where one.grantee = 0 or role.rolname in (select ours.role from ours)
), steps as (
    select 1 as rank, '' as said, format('create role %I nologin', ours.role) as statement
    from ours where not exists (select from pg_roles role where role.rolname = ours.role)
    union all
    select 2, '', format('grant pillars_owner to %I', current_user)
    where not coalesce((select pg_has_role(owner.oid, 'usage') from owner),
                       (select role.rolsuper from pg_roles role where role.rolname = current_user))
    union all
    select 3, '', format('grant create on database %I to pillars_owner', current_database())
    where not coalesce((select has_database_privilege(owner.oid, current_database(), 'create') from owner), false)
    union all
    select case object.kind when 'schema' then 4 else 5 end, object.said,
           format('alter %s %s owner to pillars_owner', object.kind, object.said)
    from objects object
    where object.owner is distinct from (select owner.oid from owner) and object.kind <> 'sequence'
    union all
    select 6, surplus.said,
           format('revoke %s on %s %s from %s', string_agg(surplus.privilege, ', ' order by surplus.privilege), surplus.kind, surplus.said, surplus.grantee)
    from (select granted.kind, granted.said, granted.grantee, granted.privilege from granted where granted.grantee <> 'pillars_owner'
          except select wanted.kind, wanted.said, wanted.grantee, wanted.privilege from wanted) surplus
    group by surplus.kind, surplus.said, surplus.grantee
    union all
    select distinct 6, by_column.said, format('revoke all on table %s from %s', by_column.said, by_column.grantee) from by_column
    union all
    select 7, missing.said,
           format('grant %s on %s %s to %I', string_agg(missing.privilege, ', ' order by missing.privilege), missing.kind, missing.said, missing.grantee)
    from (select wanted.kind, wanted.said, wanted.grantee, wanted.privilege from wanted
          except select granted.kind, granted.said, granted.grantee, granted.privilege from granted) missing
    group by missing.kind, missing.said, missing.grantee
)
select steps.statement from steps order by steps.rank, steps.said, steps.statement
