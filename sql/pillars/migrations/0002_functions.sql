-- What the runtime and its users call: enqueue, cancel, sweep, days of history; and the views.
--
-- Advisory lock keys share the class 1885957228 ("pill"): 1 migrate, 2 sweep, 3 days, 4 leader, 5 counts.
--
-- What a name in a body means is settled here and not by whoever calls: a body that is parsed now (return, begin atomic) keeps what it
-- found, and every other function sets its search_path. Five run with the rights of the schema's owner (security definer), so that roles
-- which only enqueue or only work need none of their own: enqueue, make_days, remove_day, analyze_grown, count_large. They take no text
-- into a statement but the name of a day, checked.

-- A UUIDv7 (RFC 9562, section 5.7): 48 bits of Unix milliseconds, then random bits.
create function pillars.uuid7() returns uuid
language sql volatile parallel safe
return encode(
    set_byte(
        overlay(
            uuid_send(gen_random_uuid())
            placing substring(int8send((extract(epoch from clock_timestamp()) * 1000)::bigint) from 3)
            from 1 for 6),
        6, get_byte(uuid_send(gen_random_uuid()), 0) & 15 | 112),
    'hex')::uuid;

-- The stored form of a unique key: itself, or its hash where an index entry would grow long.
create function pillars.hashed_key(unique_key text) returns text
language sql immutable parallel safe
return case when octet_length(unique_key) > 200
            then 'sha256:' || encode(sha256(convert_to(unique_key, 'UTF8')), 'hex')
            else unique_key end;

-- Why a job that was cancelled has ended: at whose word; null where nobody asked.
create function pillars.cancelled_by(job pillars.jobs) returns text
language sql immutable
return 'cancelled by ' || (job).cancel_requested_by;

-- The row that a job leaves when it ends without having run to its end.
create function pillars.ended(job pillars.jobs, state text, reason text, crashed integer default 0)
returns pillars.finished_jobs
language sql stable
return row(
    job.job_id, job.name, job.queue, job.priority, state, job.payload, job.context, null::jsonb,
    coalesce(case when state = 'cancelled' then pillars.cancelled_by(job) end, reason),
    job.attempt, job.max_attempts, job.crashes + crashed, job.lock_token, job.created_at, job.locked_at, pillars.now(),
    job.parent_id, job.tags, job.trace, job.unique_key, job.timeout)::pillars.finished_jobs;

-- Whether a job of this name that did not complete leaves a row.
create function pillars.kept(name text) returns boolean
language sql stable
return coalesce((select definition.keep <> 'none' from pillars.definitions definition where definition.name = kept.name), true);

-- Insert a job, or find the unfinished one that holds its unique key.
--
-- A loop of insert and read, each its own statement with its own snapshot, until one answers: in one statement, an insert that waited
-- for another's commit would then read with a snapshot too old to see it. Notifies in the caller's transaction, once per queue.
create function pillars.insert_job(
    job_id uuid, name text, queue text, payload jsonb, context text, priority integer, run_at timestamptz,
    run_in interval, expires_in interval, max_attempts integer, timeout interval, unique_key text, tags text[], trace text,
    out stored_id uuid, out created boolean)
language plpgsql set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    due timestamptz := coalesce(insert_job.run_at, pillars.now() + coalesce(run_in, interval '0'));
    key text := pillars.hashed_key(insert_job.unique_key);
begin
    loop
        insert into pillars.jobs (job_id, name, queue, payload, context, priority, run_at, expires_at, max_attempts, timeout,
                                  unique_key, tags, trace)
        values (insert_job.job_id, insert_job.name, insert_job.queue, insert_job.payload, insert_job.context, insert_job.priority,
                due, greatest(due, pillars.now()) + expires_in, insert_job.max_attempts, insert_job.timeout, key,
                insert_job.tags, insert_job.trace)
        on conflict (unique_key) where unique_key is not null do nothing
        returning jobs.job_id into stored_id;
        if found then
            created := true;
            if due <= pillars.now() + interval '30 seconds' then
                perform pg_notify('pillars', insert_job.queue);
            end if;
            return;
        end if;
        select job.job_id into stored_id from pillars.jobs job where job.unique_key = key;
        if found then
            created := false;
            return;
        end if;
    end loop;
end $$;

-- A job as a client writes it in JSON: the columns of jobs, with waits in seconds.
create type pillars.new_job as (
    job_id uuid, name text, queue text, payload jsonb, context text, priority integer, run_at timestamptz,
    run_in double precision, expires_in double precision, max_attempts integer, timeout double precision, unique_key text,
    tags text[], trace text);

-- Insert a JSON array of jobs (pillars.new_job), or find the unfinished ones that hold their unique keys; answers in the array's order.
--
-- One statement inserts all it can, in the order of their keys, so that crowds with the same keys, redrives among them, wait for each
-- other in one direction; then it is read who holds each key. Where a job that kept one out has ended meanwhile, that key is free again:
-- inserted now, out of its turn, it could wait for a crowd that waits for us. So all is undone, which lets go of the other keys, and begun
-- anew. A single job is spared the subtransaction. Notifies in the caller's transaction, once per queue. The argument is json, not jsonb,
-- whose arrays end at 256 MB. Waits are added as seconds: a day is 24 hours in every time zone.
create function pillars.insert_jobs(jobs json) returns table (job_id uuid, created boolean)
language plpgsql set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    wanted pillars.new_job[];
    stored uuid[];
    woken text[];
begin
    select array_agg(asked) into wanted
    from json_populate_recordset(null::pillars.new_job, insert_jobs.jobs) asked;
    if cardinality(wanted) = 1 then
        return query
        select found.stored_id, found.created
        from unnest(wanted) asked cross join lateral pillars.insert_job(
            asked.job_id, asked.name, asked.queue, asked.payload, asked.context, asked.priority, asked.run_at,
            make_interval(secs => asked.run_in), make_interval(secs => asked.expires_in), asked.max_attempts,
            make_interval(secs => asked.timeout), asked.unique_key, asked.tags, asked.trace) found;
        return;
    end if;
    loop
        begin
            with inserted as (
                insert into pillars.jobs (job_id, name, queue, payload, context, priority, run_at, expires_at, max_attempts, timeout,
                                          unique_key, tags, trace)
                select asked.job_id, asked.name, asked.queue, asked.payload, asked.context, asked.priority, due.run_at,
                       greatest(due.run_at, pillars.now()) + make_interval(secs => asked.expires_in), asked.max_attempts,
                       make_interval(secs => asked.timeout), key.hashed, asked.tags, asked.trace
                from unnest(wanted) asked
                cross join lateral (
                    select coalesce(asked.run_at, pillars.now() + make_interval(secs => coalesce(asked.run_in, 0))) as run_at
                ) due
                cross join lateral (select pillars.hashed_key(asked.unique_key) collate "C" as hashed) key
                order by key.hashed, asked.job_id
                on conflict (unique_key) where unique_key is not null do nothing
                returning jobs.queue, jobs.run_at
            )
            select array_agg(distinct inserted.queue) filter (where inserted.run_at <= pillars.now() + interval '30 seconds')
            into woken from inserted;
            select array_agg(case when asked.unique_key is null then asked.job_id else holder.job_id end order by asked.ordinality)
            into stored
            from unnest(wanted) with ordinality asked
            left join pillars.jobs holder on holder.unique_key = pillars.hashed_key(asked.unique_key);
            exit when array_position(stored, null) is null;
            raise exception 'a key came free' using errcode = 'PIL01';
        exception when sqlstate 'PIL01' then
            null;
        end;
    end loop;
    perform pg_notify('pillars', queue.name) from unnest(woken) queue (name);
    return query
    select stored[asked.ordinality], stored[asked.ordinality] = asked.job_id
    from unnest(wanted) with ordinality asked order by asked.ordinality;
end $$;

-- What was got, for a message: short, on one line and in ASCII, whatever it is.
create function pillars.shown(value text) returns text
language sql immutable parallel safe
return coalesce(regexp_replace(to_json(left(value, 60))::text collate "C", '[^ -~]', '?', 'g'), 'null');

-- Enqueue from SQL: the job exists exactly when the caller's transaction commits. Queue, priority, attempts and timeout come from the
-- code's definition of the name; a name that nobody has defined waits in the queue "default" until somebody does. With the owner's rights: a
-- role that may call it needs no table, so it can neither read a job nor write one that these checks have not seen.
create function pillars.enqueue(
    name text, payload jsonb default '{}', queue text default null, priority integer default null, run_at timestamptz default null,
    max_attempts integer default null, unique_key text default null, context text default null)
returns uuid
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    definition pillars.definitions;
    stored uuid;
begin
    if enqueue.name is null or enqueue.name !~ '^[A-Za-z0-9][A-Za-z0-9._:/-]{0,99}$' then
        raise exception 'job name: expected 1 to 100 of A-Z a-z 0-9 . _ : / - (the first a letter or digit), got %',
            pillars.shown(enqueue.name) using errcode = 'invalid_parameter_value';
    end if;
    if enqueue.queue !~ '^[A-Za-z0-9][A-Za-z0-9._:/-]{0,99}$' then
        raise exception 'queue: expected 1 to 100 of A-Z a-z 0-9 . _ : / - (the first a letter or digit), got %',
            pillars.shown(enqueue.queue) using errcode = 'invalid_parameter_value';
    end if;
    if jsonb_typeof(enqueue.payload) is distinct from 'object' then
        raise exception 'payload: expected a JSON object of parameter names, got %', coalesce(jsonb_typeof(enqueue.payload), 'null')
            using errcode = 'invalid_parameter_value';
    end if;
    if octet_length(enqueue.payload::text) > 5000000 then
        raise exception 'payload: expected at most 5000000 bytes, got %; store the bulk elsewhere and pass a reference',
            octet_length(enqueue.payload::text) using errcode = 'invalid_parameter_value';
    end if;
    if enqueue.max_attempts not between 1 and 1000 then
        raise exception 'max_attempts: expected 1 to 1000, got %', enqueue.max_attempts using errcode = 'invalid_parameter_value';
    end if;
    if enqueue.run_at not between '2000-01-01 00:00+00' and '2200-01-01 00:00+00' then
        raise exception 'run_at: expected a time from 2000 to 2200, got %', enqueue.run_at using errcode = 'invalid_parameter_value';
    end if;
    select * into definition from pillars.definitions known where known.name = enqueue.name;
    select inserted.stored_id into stored from pillars.insert_job(
        pillars.uuid7(), enqueue.name, coalesce(enqueue.queue, definition.queue, 'default'), enqueue.payload, enqueue.context,
        coalesce(enqueue.priority, definition.priority, 0), enqueue.run_at, null, null,
        coalesce(enqueue.max_attempts, definition.max_attempts), null, enqueue.unique_key, nullif(definition.tags, '{}'), null) inserted;
    return stored;
end $$;

comment on function pillars.enqueue is 'Enqueue a job inside the caller''s transaction; returns its id, or that of the unfinished job which holds unique_key.';

-- The channel on which one process is told about itself: a job of its own to end, the echo of its own proof.
create function pillars.own_channel(worker_id uuid) returns text
language sql immutable parallel safe
return 'pillars_' || translate(worker_id::text, '-', '');

-- Who asks for something, for people: as they say, or else their role.
create function pillars.asking(asked_by text) returns text
language sql stable
return left(coalesce(nullif(btrim(asked_by), ''), 'the role ' || session_user), 200);

-- Cancel a job: not running, it ends now; running, its end is asked for and its worker told. asked_by is for people: who, or what, wants it
-- to end; whoever asked first stands in last_error of the ended job.
--
-- Locks the row first; where there is none, a finish or a redrive may have moved it between two snapshots, hence finished_jobs and then
-- jobs once more. A 40001 in a repeatable-read transaction is the caller's.
create function pillars.cancel(job_id uuid, asked_by text default null) returns text
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    job pillars.jobs;
    asking text := pillars.asking(asked_by);
begin
    for look in 1..2 loop
        select * into job from pillars.jobs held where held.job_id = cancel.job_id for update;
        if found and job.locked_by is not null then
            update pillars.jobs held
            set cancel_requested_at = coalesce(held.cancel_requested_at, pillars.now()),
                cancel_requested_by = case when held.cancel_requested_at is null then asking else held.cancel_requested_by end
            where held.job_id = cancel.job_id;
            perform pg_notify(pillars.own_channel(job.locked_by), cancel.job_id::text);
            return 'requested';
        elsif found then
            delete from pillars.jobs held where held.job_id = cancel.job_id;
            if to_regclass('pillars.finished_ended_' || to_char(pillars.now() at time zone 'UTC', 'YYYYMMDD')) is null then
                perform pillars.make_days(); -- no worker has swept for days
            end if;
            job.cancel_requested_by := coalesce(job.cancel_requested_by, asking);
            insert into pillars.finished_jobs
            select final.* from pillars.ended(job, 'cancelled', job.last_error) final where pillars.kept(job.name);
            return 'cancelled';
        end if;
        perform from pillars.finished_jobs ended where ended.job_id = cancel.job_id;
        if found then
            return 'final';
        end if;
    end loop;
    return 'unknown';
end $$;

comment on function pillars.cancel is 'Cancel a job: cancelled (was not running), requested (its worker was told), final (already ended), unknown.';

-- Pause a job: not running, nobody claims it from now on; running, its worker is told, and the row says paused_at once its code rests.
--
-- Locks the row first, and looks twice, as cancel does. Asked again it changes nothing.
create function pillars.pause(job_id uuid, asked_by text default null) returns text
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    job pillars.jobs;
begin
    for look in 1..2 loop
        select * into job from pillars.jobs held where held.job_id = pause.job_id for update;
        if found and job.paused_at is not null then
            return 'paused';
        elsif found and job.locked_by is not null then
            update pillars.jobs held
            set pause_requested_at = coalesce(held.pause_requested_at, pillars.now()),
                paused_by = case when held.pause_requested_at is null then pillars.asking(asked_by) else held.paused_by end
            where held.job_id = pause.job_id;
            perform pg_notify(pillars.own_channel(job.locked_by), 'pause ' || pause.job_id);
            return 'requested';
        elsif found then
            update pillars.jobs held set paused_at = pillars.now(), paused_by = pillars.asking(asked_by), parked = true
            where held.job_id = pause.job_id;
            return 'paused';
        end if;
        perform from pillars.finished_jobs ended where ended.job_id = pause.job_id;
        if found then
            return 'final';
        end if;
    end loop;
    return 'unknown';
end $$;

comment on function pillars.pause is 'Pause a job: paused, requested (it runs; its worker was told), final (already ended), unknown.';

-- Let a paused job go on, or take back that a running one is to pause. The deadline of one that runs moves by as long as it has rested.
create function pillars.resume(job_id uuid) returns text
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    job pillars.jobs;
begin
    for look in 1..2 loop
        select * into job from pillars.jobs held where held.job_id = resume.job_id for update;
        if found and job.paused_at is null and job.pause_requested_at is null then
            return 'unpaused';
        elsif found then
            update pillars.jobs held
            set pause_requested_at = null, paused_at = null, paused_by = null,
                parked = held.locked_by is null and held.waiting_for is not null,
                deadline_at = held.deadline_at + coalesce(pillars.now() - held.paused_at, interval '0')
            where held.job_id = resume.job_id;
            if job.locked_by is not null then
                perform pg_notify(pillars.own_channel(job.locked_by), 'resume ' || resume.job_id);
            elsif job.waiting_for is null then
                perform pg_notify('pillars', job.queue);
            end if;
            return 'resumed';
        end if;
        perform from pillars.finished_jobs ended where ended.job_id = resume.job_id;
        if found then
            return 'final';
        end if;
    end loop;
    return 'unknown';
end $$;

comment on function pillars.resume is 'Let a paused job go on: resumed, unpaused (it was not paused), final (already ended), unknown.';

-- Let jobs that wait for their name's resume be claimed again, so many at most; those that an open transaction holds are left to a sweep.
-- Returns their queues, which are the caller's to wake. Rides jobs_waiting; skip locked.
create function pillars.unpark_name(name text, most integer) returns text[]
language sql volatile set search_path = pg_catalog, pg_temp as $$
with waiting as materialized (
    select job.ctid as place from pillars.jobs job
    where job.parked and job.waiting_for = 'name' and job.name = unpark_name.name
    limit most for update skip locked
), freed as (
    update pillars.jobs job set parked = job.paused_at is not null, waiting_for = null
    where job.ctid = any(array(select waiting.place from waiting))
    returning job.queue
)
select array_agg(distinct freed.queue) from freed
$$;

-- Pause a name: no worker claims its jobs any more, in any queue; what runs goes on. Paused again, it stays so since then, by whoever was first.
-- A claim that began before this committed may still take some. Locks the row of the definition.
create function pillars.pause_name(name text, asked_by text default null) returns text
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    update pillars.definitions definition
    set paused_at = coalesce(definition.paused_at, pillars.now()),
        paused_by = case when definition.paused_at is null then pillars.asking(asked_by) else definition.paused_by end
    where definition.name = pause_name.name;
    return case when found then 'paused' else 'unknown' end;
end $$;

comment on function pillars.pause_name is 'Pause a job name, in all queues: paused, unknown (no process has defined it).';

-- Let workers claim the jobs of a name again, in whatever queue they are. Of those that are parked, as many as take well under a second; a sweep
-- brings back the rest. Wakes every queue that has jobs: which of them are of this name no index says. Locks the row of the definition, then
-- those jobs, waiting for none of them.
create function pillars.resume_name(name text) returns text
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    update pillars.definitions definition set paused_at = null, paused_by = null
    where definition.name = resume_name.name and definition.paused_at is not null;
    if not found then
        perform from pillars.definitions definition where definition.name = resume_name.name;
        return case when found then 'unpaused' else 'unknown' end;
    end if;
    perform pillars.unpark_name(resume_name.name, 20000);
    perform pg_notify('pillars', lane.queue) from (select distinct lanes.queue from pillars.lanes() lanes) lane;
    return 'resumed';
end $$;

comment on function pillars.resume_name is 'Let a paused job name go on: resumed, unpaused (it was not paused), unknown (no process has defined it).';

-- Complete a running job inside the transaction of its own code, fenced by its lock_token and the worker; what jobs/finish.sql does for one job.
--
-- Locks the row and waits for nobody. Answers done; busy (ours by a plain read, but another holds its row: ask again); lost (not ours any
-- more). Nothing was written unless done. The claim's row in locks goes with the worker's next flush.
create function pillars.complete(job_id uuid, lock_token bigint, worker_id uuid, keep text, result jsonb) returns text
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    job pillars.jobs;
    ended pillars.finished_jobs;
begin
    select * into job from pillars.jobs held
    where held.job_id = complete.job_id and held.lock_token = complete.lock_token and held.locked_by = complete.worker_id
    for update skip locked;
    if not found then
        perform from pillars.jobs held
        where held.job_id = complete.job_id and held.lock_token = complete.lock_token and held.locked_by = complete.worker_id;
        return case when found then 'busy' else 'lost' end;
    end if;
    delete from pillars.jobs held where held.job_id = complete.job_id;
    if keep in ('full', 'slim') then
        ended := pillars.ended(job, 'completed', job.last_error);
        if keep = 'full' then
            ended.result := complete.result;
        else
            ended.payload := null;
        end if;
        if to_regclass('pillars.finished_completed_' || to_char(pillars.now() at time zone 'UTC', 'YYYYMMDD')) is null then
            perform pillars.make_days(); -- no worker has swept for days
        end if;
        insert into pillars.finished_jobs select ended.*;
    end if;
    return 'done';
end $$;

-- Make the partitions of today and the days ahead, each created apart and then attached, so that no lock is held on the history for
-- longer than an attach takes. Two attaches to one parent would wait for each other, hence the advisory lock. Returns how many it made.
-- With the owner's rights: a day is the owner's, whoever makes it.
create function pillars.make_days() returns integer
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '1s' as $$
declare
    today date := (pillars.now() at time zone 'UTC')::date;
    day date;
    parent text;
    child text;
    made integer := 0;
begin
    foreach parent in array array['finished_completed', 'finished_ended', 'attempts', 'job_events', 'job_messages'] loop
        for ahead in 0..3 loop
            day := today + ahead;
            child := parent || '_' || to_char(day, 'YYYYMMDD');
            continue when to_regclass('pillars.' || child) is not null;
            perform pg_advisory_xact_lock(1885957228, 3);
            -- Asked of the table, by a fresh snapshot: to_regclass may answer from before the wait.
            continue when exists (
                select from pg_class made_meanwhile
                where made_meanwhile.relname = child and made_meanwhile.relnamespace = 'pillars'::regnamespace);
            execute format('create table pillars.%I (like pillars.%I including all)', child, parent);
            execute format('alter table pillars.%I attach partition pillars.%I for values from (%L) to (%L)',
                           parent, child, day::text || ' 00:00+00', (day + 1)::text || ' 00:00+00');
            made := made + 1;
        end loop;
    end loop;
    return made;
end $$;

-- Remove one day of the history, by its table's name, with the owner's rights: for a role that cannot take the steps of next_prune itself.
--
-- DETACH CONCURRENTLY runs in no function, so this one waits for whoever is at that history, and all behind it wait too: a quarter of a
-- second at most. No day that ended less than a day ago goes, whoever asks, and nothing that is not a day of ours.
create function pillars.remove_day(day text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '250ms' as $$
declare
    history text := substring(day from '^(finished_completed|finished_ended|attempts|job_events|job_messages)_[0-9]{8}$');
    attached record;
begin
    if history is null or right(day, 8) >= to_char(pillars.now() at time zone 'UTC' - interval '1 day', 'YYYYMMDD') then
        raise exception 'day: expected a day of the history that ended over a day ago, such as finished_ended_20260101, got %',
            pillars.shown(day) using errcode = 'invalid_parameter_value';
    end if;
    select part.inhdetachpending as pending into attached from pg_inherits part
    where part.inhrelid = to_regclass(format('pillars.%I', day)) and part.inhparent = to_regclass(format('pillars.%I', history));
    if found then
        execute format('alter table pillars.%I detach partition pillars.%I', history, day)
            || case when attached.pending then ' finalize' else '' end;
    end if;
    execute format('drop table pillars.%I', day);
end $$;

-- The next statement that brings the history closer to what is to be kept of it; no row where nothing is to be done.
--
-- First what stands detached and is old. Then what a cut short detach left pending: its rows are hidden already, and until then no other
-- day of that parent can be detached. Then the oldest day that is older than its retention, which counts from the day's end. Never a day
-- that ended less than a day ago, whatever is asked: a transaction that began on it may write to it yet. Histories in left_out, in whose
-- way somebody stands, are let be, so that they hold up no other.
-- A FINALIZE waits for every older snapshot of the database, and may take its time: what it locks nobody needs.
-- DETACH CONCURRENTLY and FINALIZE run in no function and no transaction, so the caller runs the text as it stands, by itself, and asks
-- again. Two who are told the same step do no harm: one of them is refused. Who does not own the history is told one step for all, a call of
-- remove_day. Reads the catalog only.
create function pillars.next_prune(
    keep_completed interval, keep_failed interval, keep_events interval, left_out text[],
    out history text, out removes boolean, out patient boolean, out statement text)
returns setof record
language sql stable set search_path = pg_catalog, pg_temp as $$
with kept (history, first_kept) as (
    select kept.history, to_char(pillars.now() at time zone 'UTC' - greatest(kept.keep, interval '1 day'), 'YYYYMMDD')
    from (values ('finished_completed', keep_completed), ('finished_ended', keep_failed), ('attempts', keep_failed),
                 ('job_events', keep_events), ('job_messages', keep_events)) kept (history, keep)
    where kept.history <> all (left_out)
), days as (
    -- A day ended before a moment exactly where its name sorts before that of the moment's own day.
    select kept.history, day.oid, day.relname as day, right(day.relname, 8) < kept.first_kept as old,
           exists (select from pg_inherits part where part.inhrelid = day.oid) as attached
    from kept join pg_class day on day.relname ~ ('^' || kept.history || '_[0-9]{8}$')
    where day.relnamespace = 'pillars'::regnamespace and day.relkind = 'r'
), parts as (
    -- Names from the table, of one snapshot: regclass would print the number of what another pruner drops meanwhile.
    select kept.history, part.inhrelid as oid, part.inhdetachpending as pending, format('%I.%I', place.nspname, child.relname) as name
    from kept
    join pg_inherits part on part.inhparent = ('pillars.' || kept.history)::regclass
    join pg_class child on child.oid = part.inhrelid
    join pg_namespace place on place.oid = child.relnamespace
), own as (
    select pg_has_role(history.relowner, 'usage') as own from pg_class history where history.oid = 'pillars.finished_jobs'::regclass
), steps as (
    select 2 as rank, parts.history, parts.name as day, false as removes, true as patient,
           format('alter table pillars.%I detach partition %s finalize', parts.history, parts.name) as statement
    from parts join own on own.own where parts.pending
    union all
    select 1, days.history, days.day, true, false, format('drop table pillars.%I', days.day)
    from days join own on own.own where days.old and not days.attached
    union all
    select 3, days.history, days.day, false, false,
           format('alter table pillars.%I detach partition pillars.%I concurrently', days.history, days.day)
    from days join own on own.own join parts on parts.oid = days.oid and parts.history = days.history
    where days.old
    union all
    select 4, days.history, days.day, true, false, format('select pillars.remove_day(%L)', days.day)
    from days join own on not own.own left join parts on parts.oid = days.oid and parts.history = days.history
    where days.old or parts.pending
)
select steps.history, steps.removes, steps.patient, steps.statement from steps order by steps.rank, steps.day limit 1
$$;

-- Take from the dead: jobs that bear an expired lock's token go back to their queue, or end where their end was asked for or their worker
-- has died too often holding them.
--
-- Level-triggered, skip locked, in job_id order; waits for nobody. A locks row goes only when no job bears its token any more by a plain
-- read of this same statement; otherwise it stays for the next sweep under the nil uuid, so that no heartbeat revives a claim of which
-- jobs were given away. Only what a write returned was done: a row that changed between snapshot and lock is left for the next sweep.
create function pillars.rescue(out rescued integer, out failed integer, out cancelled integer)
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    queues text[];
    queue text;
begin
    with expired as materialized (
        select lock.lock_token, lock.job_ids from pillars.locks lock
        where lock.expires_at <= pillars.now()
        order by lock.lock_token for update skip locked
    ), borne as materialized (
        select member.job_id, expired.lock_token
        from expired cross join unnest(expired.job_ids) member (job_id)
        order by member.job_id
    ), held as materialized (
        select found.place, found.job_id, found.ends, found.attempt, found.locked_by, found.locked_at, borne.lock_token
        from borne cross join lateral (
            select job.ctid as place, job.job_id, job.attempt, job.locked_by, job.locked_at,
                   job.cancel_requested_at is not null or job.crashes + 1 >= coalesce(
                       (select definition.max_crashes from pillars.definitions definition where definition.name = job.name), 3) as ends
            from pillars.jobs job
            where job.job_id = borne.job_id and job.lock_token = borne.lock_token
            for update skip locked
        ) found
    ), given_back as (
        update pillars.jobs job
        set locked_by = null, lock_token = null, locked_at = null, deadline_at = null,
            attempt = greatest(job.attempt - 1, 0), crashes = job.crashes + 1,
            -- Each at its own time, or those that were claimed with the culprit would die with it time and again.
            run_at = pillars.now() + interval '1 second' * (least(2 ^ least(job.crashes, 6), 60) * (1 + random())),
            expires_at = null, -- it may have begun: nobody is left to say
            parked = job.paused_at is not null or job.pause_requested_at is not null,
            paused_at = coalesce(job.paused_at, case when job.pause_requested_at is not null then pillars.now() end),
            pause_requested_at = null,
            last_error = 'the worker died holding the job'
        where job.ctid = any(array(select held.place from held where not held.ends))
        returning job.job_id, job.name, job.queue
    ), ended as (
        delete from pillars.jobs job
        where job.ctid = any(array(select held.place from held where held.ends))
        returning job
    ), stored as (
        insert into pillars.finished_jobs
        select final.* from ended cross join lateral pillars.ended(
            ended.job,
            case when (ended.job).cancel_requested_at is null then 'failed' else 'cancelled' end,
            case when (ended.job).cancel_requested_at is null
                 then format('the worker died holding the job, %s times', (ended.job).crashes + 1)
                 else (ended.job).last_error end, 1) final
        where pillars.kept((ended.job).name)
    ), done as (
        select given_back.job_id, given_back.name, 'crashed' as outcome from given_back
        union all
        select (ended.job).job_id, (ended.job).name, case when (ended.job).cancel_requested_at is null then 'failed' else 'cancelled' end
        from ended
    ), noted as (
        insert into pillars.attempts (job_id, attempt, lock_token, outcome, error, locked_by, started_at)
        select held.job_id, held.attempt, held.lock_token, done.outcome, 'the worker died holding the job', held.locked_by, held.locked_at
        from done join held on held.job_id = done.job_id where pillars.kept(done.name)
    ), remaining as (
        select distinct borne.lock_token from borne
        where exists (select from pillars.jobs job where job.job_id = borne.job_id and job.lock_token = borne.lock_token)
          and not exists (select from done where done.job_id = borne.job_id)
    ), kept_locks as (
        update pillars.locks lock set locked_by = '00000000-0000-0000-0000-000000000000'
        where lock.lock_token in (select remaining.lock_token from remaining)
    ), gone_locks as (
        delete from pillars.locks lock
        where lock.lock_token in (select expired.lock_token from expired)
          and lock.lock_token not in (select remaining.lock_token from remaining)
    )
    select (select count(*) from given_back),
           (select count(*) from ended where (ended.job).cancel_requested_at is null),
           (select count(*) from ended where (ended.job).cancel_requested_at is not null),
           (select array_agg(distinct given_back.queue) from given_back)
    into rescued, failed, cancelled, queues;
    foreach queue in array coalesce(queues, '{}') loop
        perform pg_notify('pillars', queue);
    end loop;
end $$;

-- End jobs that were not begun before expires_at; whatever puts a begun one back clears it. Rides jobs_expiring; skip locked.
create function pillars.expire() returns integer
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    expired integer;
begin
    with due as materialized (
        select job.ctid as place from pillars.jobs job
        where job.expires_at <= pillars.now() and job.locked_by is null
        order by job.job_id limit 10000 for update skip locked
    ), ended as (
        delete from pillars.jobs job where job.ctid = any(array(select due.place from due)) returning job
    ), stored as (
        insert into pillars.finished_jobs
        select final.* from ended cross join lateral pillars.ended(ended.job, 'expired', (ended.job).last_error) final
        where pillars.kept((ended.job).name)
    )
    select count(*) from ended into expired;
    return expired;
end $$;

-- The lanes (queue, priority) that have unparked rows, by a skip scan of jobs_claim in two steps: the next priority of the queue, else the
-- next queue. An `or` over both would read the whole index: 1.1 s against 3 ms on a million rows.
create function pillars.lanes() returns table (queue text, priority integer)
language sql stable
begin atomic
with recursive lanes as (
    (select job.queue, job.priority from pillars.jobs job where not job.parked order by job.queue, job.priority desc limit 1)
    union all
    select next.queue, next.priority from lanes cross join lateral (
        (select job.queue, job.priority from pillars.jobs job
         where not job.parked and job.queue = lanes.queue and job.priority < lanes.priority
         order by job.priority desc limit 1)
        union all
        (select job.queue, job.priority from pillars.jobs job
         where not job.parked and job.queue > lanes.queue
         order by job.queue, job.priority desc limit 1)
        limit 1
    ) next
)
select lanes.queue, lanes.priority from lanes;
end;

-- Keep the front of every lane free of names that no process has defined, and bring them back once one has. A claim would read past them
-- every time (100,000 of them in front of a lane cost 130 ms a claim); parked, they are out of its index. Returns how many it parked.
create function pillars.park_unknown() returns integer
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    lane record;
    woken text[];
    round integer;
    parked integer := 0;
begin
    with defined as materialized (
        select job.ctid as place from pillars.jobs job
        where job.parked and job.waiting_for = 'definition'
          and job.name in (select definition.name from pillars.definitions definition)
        for update skip locked
    ), freed as (
        update pillars.jobs job set parked = job.paused_at is not null, waiting_for = null, last_error = null
        where job.ctid = any(array(select defined.place from defined))
        returning job.queue
    )
    select array_agg(distinct freed.queue) into woken from freed;
    perform pg_notify('pillars', queue.name) from unnest(woken) queue (name);
    for lane in
        select lanes.queue, lanes.priority from pillars.lanes() lanes
    loop
        for attempt in 1..20 loop
            with front as materialized (
                select job.ctid as place, job.name from pillars.jobs job
                where not job.parked and job.queue = lane.queue and job.priority = lane.priority and job.run_at <= pillars.now()
                order by job.run_at, job.job_id limit 1000
            ), unknown as materialized (
                select job.ctid as place from pillars.jobs job
                where job.ctid = any(array(
                          select front.place from front
                          where front.name not in (select definition.name from pillars.definitions definition)))
                  and job.locked_by is null
                for update skip locked
            ), written as (
                update pillars.jobs job
                set parked = true, waiting_for = 'definition', last_error = format('no process defines the job %s', job.name)
                where job.ctid = any(array(select unknown.place from unknown))
                returning 1
            )
            select count(*) from written into round;
            parked := parked + round;
            exit when round < 1000;
        end loop;
    end loop;
    return parked;
end $$;

-- Keep the front of every lane free of names that people have paused, as park_unknown does of names that nobody knows, and bring back what
-- belongs to a paused name no more: what a resume found locked, or was too much for it; what was parked while it was resumed. Where the front
-- is mixed, as long as a tenth of it goes: what is left costs a claim little. Rides jobs_claim and, by a skip scan, jobs_waiting; skip locked.
create function pillars.park_paused() returns integer
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    lane record;
    woken text[];
    round integer;
    parked integer := 0;
begin
    with recursive names as (
        (select job.name from pillars.jobs job where job.parked and job.waiting_for = 'name' order by job.name limit 1)
        union all
        select next.name from names cross join lateral (
            select job.name from pillars.jobs job
            where job.parked and job.waiting_for = 'name' and job.name > names.name
            order by job.name limit 1
        ) next
    ), resumed as materialized (
        select names.name from names
        where names.name not in (select paused.name from pillars.definitions paused where paused.paused_at is not null)
    )
    select array_agg(distinct queue.name) into woken
    from resumed cross join lateral unnest(pillars.unpark_name(resumed.name, 100000)) queue (name);
    perform pg_notify('pillars', queue.name) from unnest(woken) queue (name);
    if not exists (select from pillars.definitions paused where paused.paused_at is not null) then
        return 0;
    end if;
    for lane in
        select lanes.queue, lanes.priority from pillars.lanes() lanes
    loop
        for attempt in 1..20 loop
            with front as materialized (
                select job.ctid as place, job.name from pillars.jobs job
                where not job.parked and job.queue = lane.queue and job.priority = lane.priority and job.run_at <= pillars.now()
                  and job.locked_by is null
                order by job.run_at, job.job_id limit 1000
            ), idle as materialized (
                select job.ctid as place from pillars.jobs job
                where job.ctid = any(array(
                          select front.place from front
                          where front.name in (select paused.name from pillars.definitions paused where paused.paused_at is not null)))
                  and job.locked_by is null
                for update skip locked
            ), written as (
                update pillars.jobs job set parked = true, waiting_for = 'name'
                where job.ctid = any(array(select idle.place from idle))
                returning 1
            )
            select count(*) from written into round;
            parked := parked + round;
            exit when round < 100;
        end loop;
    end loop;
    return parked;
end $$;

-- Remove the rows of processes that have not been seen for an hour: they were killed. The longest lock is an hour and beats come twice in
-- it at least, so one that is alive is seen; one that was frozen longer writes its row anew with its next sign of life. Waits for nobody.
create function pillars.forget_workers() returns void
language sql set search_path = pg_catalog, pg_temp as $$
delete from pillars.workers worker
where worker.ctid = any(array(
    select unseen.ctid from pillars.workers unseen
    where unseen.seen_at < pillars.now() - interval '1 hour' for update skip locked))
$$;

-- Let sessions plan anew for a table that was small when they did: a plan that was cached over a few rows reads the whole of a full table
-- until the next analyze, 40 to 140 ms a lookup over 200,000 rows. Autovacuum comes once a minute; a new day fills faster.
--
-- Once 1 MB is in a table of which the catalog last heard less, one column is analyzed: a plan over 1 MB takes the index, and so it stays.
-- Earlier would be worse than never, since a day without statistics is planned for as one of ten pages. Of one column, so that autovacuum
-- counts its own changes on, and by few rows, since one key is as frequent as the next. Waits for nobody; a vacuum of what it analyzes
-- waits for the end of the transaction. With the owner's rights, since others may not analyze.
create function pillars.analyze_grown() returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp set default_statistics_target = 10 as $$
declare
    today text := to_char(pillars.now() at time zone 'UTC', 'YYYYMMDD');
    grown name;
begin
    for grown in
        select known.relname from pg_class known
        where known.relnamespace = 'pillars'::regnamespace
          and known.relname in ('jobs', 'finished_completed_' || today, 'finished_ended_' || today, 'attempts_' || today, 'job_events_' || today)
          and known.relpages::bigint * current_setting('block_size')::integer < 1048576
          and pg_relation_size(known.oid) >= 1048576
    loop
        execute format('analyze (skip_locked) pillars.%I (job_id)', grown);
    end loop;
end $$;

-- What every worker and the leader do every few seconds, one at a time: rescue, expire, park what nobody knows or what is paused by its name,
-- make the days ahead, analyze what has grown, forget the processes that are gone.
-- The advisory lock only saves work; each part re-checks what it locks.
create function pillars.sweep(out swept boolean, out rescued integer, out failed integer, out cancelled integer, out expired integer,
                              out parked integer)
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    swept := pg_try_advisory_xact_lock(1885957228, 2);
    if not swept then
        return;
    end if;
    begin
        perform pillars.make_days();
    exception when lock_not_available then
        null; -- a long reader of the history is in the way; days are made three ahead, so a later sweep will do
    end;
    select freed.rescued, freed.failed, freed.cancelled into rescued, failed, cancelled from pillars.rescue() freed;
    expired := pillars.expire();
    parked := pillars.park_unknown();
    perform pillars.park_paused(); -- uncounted: it is what somebody asked for
    perform pillars.forget_workers();
    perform pillars.analyze_grown(); -- last: what it notes of a table's size outlives a rollback, its statistics do not
end $$;

-- A time as people write it in UTC: 2026-03-29T01:00:00Z.
create function pillars.utc_text(at timestamptz) returns text
language sql stable parallel safe
return to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"');

-- Decide one tick of a schedule: note it, make its job, advance the schedule past it; all of it or nothing.
--
-- Two leaders may call this for one tick. The schedule's row is taken with skip locked, and only while next_run_at is still the one that
-- the caller computed from; a tick that is noted already makes no job. Each statement has its own snapshot, so what is judged is what is
-- locked. Waits for nobody but an uncommitted holder of the job's unique key, and for that a second at most.
-- Locks: the schedule, then its tick, then its job. due_at null: by its rule nothing is due, advance only.
-- Returns ticks.outcome; or advanced (due_at was null), repeated (noted before; advanced only), locked (another transaction holds the
-- row; nothing written), moved (another leader, a sync or a pause was first; nothing written).
create function pillars.tick(
    schedule text, computed_from timestamptz, due_at timestamptz, late boolean, missed integer, next_run_at timestamptz,
    out outcome text, out job_id uuid)
language plpgsql set search_path = pg_catalog, pg_temp set lock_timeout = '1s' as $$
declare
    taken pillars.schedules;
    previous pillars.jobs;
    inserted record;
begin
    select * into taken from pillars.schedules held
    where held.name = tick.schedule and held.next_run_at = tick.computed_from and held.paused_at is null
    for update skip locked;
    if not found then
        outcome := case when exists (
            select from pillars.schedules held
            where held.name = tick.schedule and held.next_run_at = tick.computed_from and held.paused_at is null
        ) then 'locked' else 'moved' end;
        return;
    end if;
    if due_at is null then
        outcome := 'advanced';
    else
        select * into previous from pillars.jobs job where job.job_id = taken.last_job_id;
        outcome := case when late then 'late'
                        when previous.job_id is null or taken.overlap = 'allow' then 'enqueued'
                        when taken.overlap = 'queue' and previous.locked_by is not null then 'enqueued'
                        else 'overlapped' end;
        job_id := case outcome when 'enqueued' then pillars.uuid7() when 'overlapped' then previous.job_id end;
        insert into pillars.ticks (schedule, tick, job_id, outcome, missed)
        values (tick.schedule, tick.due_at, tick.job_id, tick.outcome, tick.missed)
        on conflict do nothing;
        if not found then
            outcome := 'repeated';
            job_id := null;
        end if;
    end if;
    if outcome = 'enqueued' then
        select made.stored_id, made.created into inserted from pillars.insert_job(
            tick.job_id, taken.job, taken.queue, taken.payload,
            coalesce(taken.context, format('schedule %s at %s', taken.name, pillars.utc_text(due_at))), taken.priority, null,
            random() * taken.jitter, taken.expires_in, taken.max_attempts, taken.timeout, taken.unique_key, taken.tags, null) made;
        if not inserted.created then
            outcome := 'overlapped';
            job_id := inserted.stored_id;
            update pillars.ticks noted set outcome = tick.outcome, job_id = tick.job_id
            where noted.schedule = tick.schedule and noted.tick = tick.due_at;
        elsif taken.overlap = 'queue' and previous.job_id is not null then
            update pillars.jobs job set parked = true, waiting_for = 'job ' || previous.job_id where job.job_id = tick.job_id;
        end if;
    end if;
    update pillars.schedules held
    set next_run_at = tick.next_run_at, last_error = null,
        last_job_id = case outcome when 'enqueued' then tick.job_id else held.last_job_id end
    where held.name = tick.schedule;
end $$;

-- Every job, unfinished and final, with its state. Both halves are of the same types, without domains: else a reader's conditions stay outside.
create view pillars.all_jobs as
select job.job_id, job.name, job.queue, job.priority,
       case when job.paused_at is not null then 'paused'
            when job.locked_by is not null then 'running'
            when job.parked then 'waiting'
            when job.run_at > pillars.now() then 'scheduled'
            else 'ready' end as state,
       job.payload::jsonb, job.context, null::jsonb as result, job.last_error, job.attempt::integer, job.max_attempts::integer,
       job.crashes::integer, job.lock_token, job.created_at::timestamptz, job.locked_at::timestamptz as started_at, null::timestamptz as finished_at,
       job.parent_id, job.tags, job.trace, job.unique_key, job.timeout::interval, job.run_at::timestamptz, job.locked_at::timestamptz, job.locked_by,
       job.deadline_at::timestamptz
from pillars.jobs job
union all
select ended.job_id, ended.name, ended.queue, ended.priority, ended.state,
       ended.payload, ended.context, ended.result, ended.last_error, ended.attempt, ended.max_attempts, ended.crashes, ended.lock_token,
       ended.created_at, ended.started_at, ended.finished_at, ended.parent_id, ended.tags, ended.trace,
       ended.unique_key, ended.timeout, null, null, null, null
from pillars.finished_jobs ended;

comment on view pillars.all_jobs is 'Every job with its state: unfinished ones from pillars.jobs, final ones from pillars.finished_jobs.';

-- How the job of a claim has ended, for a repeat of its finish; null where it has not. A function, so that a plan of the statement that asks
-- opens no day of the history unless it does.
create function pillars.ended_as(job_id uuid, lock_token bigint) returns text
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
    return (select ended.state from pillars.finished_jobs ended
            where ended.job_id = ended_as.job_id and ended.lock_token = ended_as.lock_token limit 1);
end $$;

-- Whether a claim's attempt was noted with this outcome, or ended as was asked, for a repeat of its giving back. See ended_as.
create function pillars.was_noted(job_id uuid, lock_token bigint, outcome text) returns boolean
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
    return exists (select from pillars.attempts noted
                   where noted.job_id = was_noted.job_id and noted.lock_token = was_noted.lock_token
                     and noted.outcome in (was_noted.outcome, 'cancelled'));
end $$;

-- Unfinished jobs by queue, name and state; those of names that no process has defined together, as nobody says how many such there are. Where the table is over 16 MB, as a sweep has counted them in the last two minutes, or in forty times as
-- long as that took; else, and where none has, as they are.
create function pillars.unfinished() returns table (queue text, name text, state text, jobs bigint, oldest_run_at timestamptz)
language sql stable
begin atomic
with known as materialized (
    select counted.figures from pillars.counts counted
    where counted.part = 'jobs' and counted.counted_at > pillars.now() - greatest(interval '2 minutes', 40 * counted.took)
      and pg_relation_size('pillars.jobs') > 16777216
)
select figure.queue, figure.name, figure.state, figure.jobs, figure.oldest_run_at
from known
cross join lateral jsonb_to_recordset(known.figures) figure (queue text, name text, state text, jobs bigint, oldest_run_at timestamptz)
union all
select job.queue, definition.name, job.state, count(*), min(job.run_at)
from pillars.all_jobs job
left join pillars.definitions definition on definition.name = job.name
where job.finished_at is null and not exists (select from known)
group by job.queue, definition.name, job.state;
end;

-- Count one thing that takes long, for all who look: the unfinished jobs where they are many, at most a twentieth of the time; else a day of
-- the history that has been over for an hour, once an hour: redrives take from it, and a long transaction may still write to it. Completed jobs
-- are counted for good once their day has been over for a day. Returns what it counted, or no row. With the owner's rights: a day is read
-- by itself.
create function pillars.count_large() returns setof text
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    began timestamptz := clock_timestamp();
    over text := to_char(pillars.now() at time zone 'UTC' - interval '1 hour', 'YYYYMMDD');
    day name;
begin
    if not pg_try_advisory_xact_lock(1885957228, 5) then
        return;
    end if;
    delete from pillars.counts counted where counted.part <> 'jobs' and to_regclass('pillars.' || quote_ident(counted.part)) is null;
    if pg_relation_size('pillars.jobs') > 16777216 and not exists (
        select from pillars.counts counted
        where counted.part = 'jobs' and counted.counted_at + greatest(20 * counted.took, interval '4 seconds') > pillars.now()
    ) then
        insert into pillars.counts (part, figures, took)
        select 'jobs', coalesce(jsonb_agg(to_jsonb(counted)), '[]'), clock_timestamp() - began
        from (
            select job.queue, definition.name, job.state, count(*) as jobs, min(job.run_at) as oldest_run_at
            from pillars.all_jobs job
            left join pillars.definitions definition on definition.name = job.name
            where job.finished_at is null
            group by job.queue, definition.name, job.state
        ) counted
        on conflict (part) do update set figures = excluded.figures, counted_at = excluded.counted_at, took = excluded.took;
        return next 'jobs';
        return;
    end if;
    select child.relname into day
    from pg_inherits part join pg_class child on child.oid = part.inhrelid
    where part.inhparent in ('pillars.finished_completed'::regclass, 'pillars.finished_ended'::regclass)
      and not part.inhdetachpending and right(child.relname, 8) < over
      and child.reltuples < 5000000 -- more would not be counted in time; it is estimated
      and not exists (
          select from pillars.counts counted
          where counted.part = child.relname
            and (counted.counted_at > pillars.now() - interval '1 hour'
                 or part.inhparent = 'pillars.finished_completed'::regclass
                    and counted.counted_at > to_date(right(child.relname, 8), 'YYYYMMDD')::timestamp at time zone 'UTC' + interval '48 hours'))
    order by random() limit 1; -- one that cannot be counted keeps no other from it
    if day is not null then
        began := clock_timestamp();
        execute format(
            'insert into pillars.counts (part, figures, took)
             select %L, coalesce(jsonb_object_agg(counted.state, counted.jobs), ''{}''), clock_timestamp() - %L::timestamptz
             from (select ended.state, count(*) as jobs from pillars.%I ended group by ended.state) counted
             on conflict (part) do update set figures = excluded.figures, counted_at = excluded.counted_at, took = excluded.took',
            day, began, day);
        return next day;
    end if;
end $$;

-- Unfinished jobs by queue.
create view pillars.queue_stats as
select coalesce(waiting.queue, spoken.name) as queue,
       coalesce(waiting.ready, 0) as ready,
       coalesce(waiting.running, 0) as running,
       coalesce(waiting.scheduled, 0) as scheduled,
       coalesce(waiting.parked, 0) as parked,
       coalesce(extract(epoch from pillars.now() - waiting.oldest_ready_at), 0)::float8 as oldest_ready_seconds,
       spoken.paused_at is not null as paused
from (
    select job.queue,
           count(*) filter (where job.locked_by is null and not job.parked and job.run_at <= pillars.now()) as ready,
           count(*) filter (where job.locked_by is not null and job.paused_at is null) as running,
           count(*) filter (where job.locked_by is null and not job.parked and job.run_at > pillars.now()) as scheduled,
           count(*) filter (where job.parked) as parked,
           min(job.run_at) filter (where job.locked_by is null and not job.parked and job.run_at <= pillars.now()) as oldest_ready_at
    from pillars.jobs job
    group by job.queue
) waiting
full join pillars.queues spoken on spoken.name = waiting.queue;

comment on view pillars.queue_stats is 'Unfinished jobs by queue: ready, running, scheduled, parked, age of the oldest ready one, paused.';

-- Every job as all_jobs shows it, without what people and code have put into it: arguments, results, errors, reasons, keys.
create view pillars.redacted_jobs as
select job.job_id, job.name, job.queue, job.priority, job.state, job.attempt, job.max_attempts, job.crashes, job.created_at, job.started_at,
       job.finished_at, job.parent_id, job.tags, job.timeout, job.run_at, job.locked_at, job.locked_by, job.deadline_at
from pillars.all_jobs job;

comment on view pillars.redacted_jobs is 'Every job with its state and times, without payload, context, result, error and unique key.';

create view pillars.redacted_attempts as
select attempt.job_id, attempt.attempt, attempt.outcome, attempt.locked_by, attempt.started_at, attempt.ended_at
from pillars.attempts attempt;

comment on view pillars.redacted_attempts is 'Attempts that did not simply complete, without their errors.';

create view pillars.redacted_schedules as
select schedule.name, schedule.job, schedule.queue, schedule.priority, schedule.every, schedule.crontab, schedule.timezone,
       schedule.catchup, schedule.overlap, schedule.jitter, schedule.catchup_window, schedule.next_run_at, schedule.last_job_id,
       schedule.paused_at::timestamptz as paused_at, schedule.deployment, schedule.created_at, schedule.updated_at
from pillars.schedules schedule;

comment on view pillars.redacted_schedules is 'Periodic rules, without the arguments of their jobs.';

-- By default everybody may call a function, and five of ours run with the owner's rights.
revoke all on all routines in schema pillars from public;
