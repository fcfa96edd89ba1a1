CREATE SCHEMA pillars;
CREATE DOMAIN pillars.arguments AS jsonb
	CONSTRAINT arguments_are_an_object CHECK ((jsonb_typeof(VALUE) = 'object'::text));
CREATE DOMAIN pillars.counter AS integer
	CONSTRAINT counter_is_0_to_1000000 CHECK (((VALUE >= 0) AND (VALUE <= 1000000)));
CREATE DOMAIN pillars.length AS interval
	CONSTRAINT length_is_0_to_3650_days CHECK (((VALUE >= '00:00:00'::interval) AND (VALUE <= '3650 days'::interval)));
CREATE DOMAIN pillars.moment AS timestamp with time zone
	CONSTRAINT moment_is_within_2000_to_2200 CHECK (((VALUE >= '2000-01-01 00:00:00+00'::timestamp with time zone) AND (VALUE <= '2200-01-01 00:00:00+00'::timestamp with time zone)));
CREATE TYPE pillars.new_job AS (
	job_id uuid,
	name text,
	queue text,
	payload jsonb,
	context text,
	priority integer,
	run_at timestamp with time zone,
	run_in double precision,
	expires_in double precision,
	max_attempts integer,
	timeout double precision,
	unique_key text,
	tags text[],
	trace text
);
CREATE DOMAIN pillars.tries AS integer
	CONSTRAINT tries_are_1_to_1000 CHECK (((VALUE >= 1) AND (VALUE <= 1000)));
CREATE FUNCTION pillars.analyze_grown() RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET default_statistics_target TO '10'
    AS $$
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
CREATE FUNCTION pillars.asking(asked_by text) RETURNS text
    LANGUAGE sql STABLE
    RETURN "left"(COALESCE(NULLIF(btrim(asked_by), ''::text), ('the role '::text || (SESSION_USER)::text)), 200);
CREATE FUNCTION pillars.cancel(job_id uuid, asked_by text DEFAULT NULL::text) RETURNS text
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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
COMMENT ON FUNCTION pillars.cancel(job_id uuid, asked_by text) IS 'Cancel a job: cancelled (was not running), requested (its worker was told), final (already ended), unknown.';
CREATE FUNCTION pillars.now() RETURNS timestamp with time zone
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN now();
CREATE TABLE pillars.jobs (
    job_id uuid NOT NULL,
    queue text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL COLLATE pg_catalog."C",
    payload pillars.arguments DEFAULT '{}'::jsonb NOT NULL,
    context text,
    priority integer DEFAULT 0 NOT NULL,
    run_at pillars.moment DEFAULT pillars.now() NOT NULL,
    created_at pillars.moment DEFAULT pillars.now() NOT NULL,
    locked_at pillars.moment,
    deadline_at pillars.moment,
    lock_token bigint,
    locked_by uuid,
    attempt pillars.counter DEFAULT 0 NOT NULL,
    max_attempts pillars.tries,
    crashes pillars.counter DEFAULT 0 NOT NULL,
    parked boolean DEFAULT false NOT NULL,
    expires_at pillars.moment,
    timeout pillars.length,
    unique_key text COLLATE pg_catalog."C",
    tags text[],
    parent_id uuid,
    cancel_requested_at pillars.moment,
    cancel_requested_by text,
    pause_requested_at pillars.moment,
    paused_at pillars.moment,
    paused_by text,
    waiting_for text COLLATE pg_catalog."C",
    last_error text,
    trace text,
    CONSTRAINT jobs_held_by_a_token CHECK (((locked_by IS NULL) = (lock_token IS NULL)))
)
WITH (fillfactor='50', autovacuum_vacuum_scale_factor='0.02', autovacuum_vacuum_threshold='1000', autovacuum_vacuum_cost_delay='0', autovacuum_analyze_scale_factor='0.05');
COMMENT ON TABLE pillars.jobs IS 'Unfinished jobs. Running is locked_by is not null; parked rows (waiting, paused) are out of the claim''s sight.';
COMMENT ON COLUMN pillars.jobs.job_id IS 'UUIDv7, made by whoever enqueues, so that a repeat of an enqueue is recognised.';
COMMENT ON COLUMN pillars.jobs.lock_token IS 'The fence, with locked_by: one per claim, null unless running.';
COMMENT ON COLUMN pillars.jobs.attempt IS 'Attempts begun; 1 during the first. A released or rescued one is given back.';
COMMENT ON COLUMN pillars.jobs.max_attempts IS 'Null only until the first claim of a job whose name nobody had defined.';
COMMENT ON COLUMN pillars.jobs.expires_at IS 'Not begun by then, the job ends expired. Null again once its code was started.';
COMMENT ON COLUMN pillars.jobs.timeout IS 'Of one attempt. Null: the definition''s. Zero: none.';
COMMENT ON COLUMN pillars.jobs.unique_key IS 'At most one unfinished job holds it; hashed over 200 bytes.';
COMMENT ON COLUMN pillars.jobs.cancel_requested_by IS 'Who asked first; the reason that the ended job bears.';
COMMENT ON COLUMN pillars.jobs.pause_requested_at IS 'Of a running job: its code is to pause; whatever puts the job back pauses it.';
COMMENT ON COLUMN pillars.jobs.paused_at IS 'Since when nothing of it runs. A running one keeps its slot and its lock, and its deadline rests.';
COMMENT ON COLUMN pillars.jobs.paused_by IS 'Who asked for the pause.';
COMMENT ON COLUMN pillars.jobs.waiting_for IS 'Why a row is parked: definition (no process has defined its name), name (its name is paused), or "job" and the id of the one that must end first.';
CREATE FUNCTION pillars.cancelled_by(job pillars.jobs) RETURNS text
    LANGUAGE sql IMMUTABLE
    RETURN ('cancelled by '::text || (job).cancel_requested_by);
CREATE FUNCTION pillars.complete(job_id uuid, lock_token bigint, worker_id uuid, keep text, result jsonb) RETURNS text
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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
CREATE FUNCTION pillars.count_large() RETURNS SETOF text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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
CREATE TABLE pillars.finished_jobs (
    job_id uuid NOT NULL,
    name text NOT NULL COLLATE pg_catalog."C",
    queue text NOT NULL COLLATE pg_catalog."C",
    priority integer NOT NULL,
    state text NOT NULL COLLATE pg_catalog."C",
    payload jsonb,
    context text,
    result jsonb,
    last_error text,
    attempt integer NOT NULL,
    max_attempts integer,
    crashes integer NOT NULL,
    lock_token bigint,
    created_at timestamp with time zone NOT NULL,
    started_at timestamp with time zone,
    finished_at timestamp with time zone DEFAULT pillars.now() NOT NULL,
    parent_id uuid,
    tags text[],
    trace text,
    unique_key text COLLATE pg_catalog."C",
    timeout interval,
    CONSTRAINT finished_jobs_state CHECK ((state = ANY (ARRAY['completed'::text, 'failed'::text, 'cancelled'::text, 'expired'::text])))
)
PARTITION BY LIST (state);
COMMENT ON TABLE pillars.finished_jobs IS 'One row per final job, partitioned by state (completed, the rest) and then by UTC day of finished_at.';
COMMENT ON COLUMN pillars.finished_jobs.lock_token IS 'The claim that ended it, by which a repeated finish recognises itself.';
COMMENT ON COLUMN pillars.finished_jobs.started_at IS 'When the last attempt was claimed.';
CREATE FUNCTION pillars.ended(job pillars.jobs, state text, reason text, crashed integer DEFAULT 0) RETURNS pillars.finished_jobs
    LANGUAGE sql STABLE
    RETURN ROW((job).job_id, (job).name, (job).queue, (job).priority, state, ((job).payload)::jsonb, (job).context, NULL::jsonb, COALESCE(CASE WHEN (state = 'cancelled'::text) THEN pillars.cancelled_by(job) ELSE NULL::text END, reason), ((job).attempt)::integer, ((job).max_attempts)::integer, (((job).crashes)::integer + crashed), (job).lock_token, ((job).created_at)::timestamp with time zone, ((job).locked_at)::timestamp with time zone, pillars.now(), (job).parent_id, (job).tags, (job).trace, (job).unique_key, ((job).timeout)::interval)::pillars.finished_jobs;
CREATE FUNCTION pillars.ended_as(job_id uuid, lock_token bigint) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    return (select ended.state from pillars.finished_jobs ended
            where ended.job_id = ended_as.job_id and ended.lock_token = ended_as.lock_token limit 1);
end $$;
CREATE FUNCTION pillars.enqueue(name text, payload jsonb DEFAULT '{}'::jsonb, queue text DEFAULT NULL::text, priority integer DEFAULT NULL::integer, run_at timestamp with time zone DEFAULT NULL::timestamp with time zone, max_attempts integer DEFAULT NULL::integer, unique_key text DEFAULT NULL::text, context text DEFAULT NULL::text) RETURNS uuid
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
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
end $_$;
COMMENT ON FUNCTION pillars.enqueue(name text, payload jsonb, queue text, priority integer, run_at timestamp with time zone, max_attempts integer, unique_key text, context text) IS 'Enqueue a job inside the caller''s transaction; returns its id, or that of the unfinished job which holds unique_key.';
CREATE FUNCTION pillars.expire() RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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
CREATE FUNCTION pillars.forget_workers() RETURNS void
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
delete from pillars.workers worker
where worker.ctid = any(array(
    select unseen.ctid from pillars.workers unseen
    where unseen.seen_at < pillars.now() - interval '1 hour' for update skip locked))
$$;
CREATE FUNCTION pillars.hashed_key(unique_key text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN (octet_length(unique_key) > 200) THEN ('sha256:'::text || encode(sha256(convert_to(unique_key, 'UTF8'::name)), 'hex'::text)) ELSE unique_key END;
CREATE FUNCTION pillars.insert_job(job_id uuid, name text, queue text, payload jsonb, context text, priority integer, run_at timestamp with time zone, run_in interval, expires_in interval, max_attempts integer, timeout interval, unique_key text, tags text[], trace text, OUT stored_id uuid, OUT created boolean) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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
CREATE FUNCTION pillars.insert_jobs(jobs json) RETURNS TABLE(job_id uuid, created boolean)
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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
CREATE TABLE pillars.definitions (
    name text NOT NULL COLLATE pg_catalog."C",
    kind text NOT NULL,
    queue text NOT NULL COLLATE pg_catalog."C",
    priority integer NOT NULL,
    max_attempts integer NOT NULL,
    max_crashes integer NOT NULL,
    timeout interval NOT NULL,
    keep text NOT NULL,
    tags text[] NOT NULL,
    deployment text NOT NULL,
    defined_at timestamp with time zone DEFAULT pillars.now() NOT NULL,
    paused_at pillars.moment,
    paused_by text,
    CONSTRAINT definitions_keep CHECK ((keep = ANY (ARRAY['full'::text, 'slim'::text, 'failed'::text, 'none'::text]))),
    CONSTRAINT definitions_kind CHECK ((kind = ANY (ARRAY['async'::text, 'thread'::text, 'process'::text]))),
    CONSTRAINT definitions_max_attempts CHECK (((max_attempts >= 1) AND (max_attempts <= 1000))),
    CONSTRAINT definitions_max_crashes CHECK (((max_crashes >= 1) AND (max_crashes <= 1000))),
    CONSTRAINT definitions_timeout CHECK (((timeout >= '00:00:00'::interval) AND (timeout <= '3650 days'::interval)))
);
COMMENT ON TABLE pillars.definitions IS 'What the code says of each job name; every process writes it at boot. SQL enqueues take their defaults from it.';
COMMENT ON COLUMN pillars.definitions.timeout IS 'Of one attempt; zero means none.';
COMMENT ON COLUMN pillars.definitions.keep IS 'What is left of a final job: full; slim (completed without payload and result); failed (only what did not complete); none.';
COMMENT ON COLUMN pillars.definitions.paused_at IS 'Since when no worker claims jobs of this name, because a person said so; no deploy changes it.';
CREATE FUNCTION pillars.kept(name text) RETURNS boolean
    LANGUAGE sql STABLE
    RETURN COALESCE((SELECT (definition.keep <> 'none'::text) FROM pillars.definitions definition WHERE (definition.name = kept.name)), true);
CREATE FUNCTION pillars.lanes() RETURNS TABLE(queue text, priority integer)
    LANGUAGE sql STABLE
    BEGIN ATOMIC
 WITH RECURSIVE lanes AS (
         ( SELECT job.queue,
             job.priority
            FROM pillars.jobs job
           WHERE (NOT job.parked)
           ORDER BY job.queue, job.priority DESC
          LIMIT 1)
         UNION ALL
          SELECT next.queue,
             next.priority
            FROM (lanes lanes_1
              CROSS JOIN LATERAL (( SELECT job.queue,
                     job.priority
                    FROM pillars.jobs job
                   WHERE ((NOT job.parked) AND (job.queue = lanes_1.queue) AND (job.priority < lanes_1.priority))
                   ORDER BY job.priority DESC
                  LIMIT 1)
                 UNION ALL
                 ( SELECT job.queue,
                     job.priority
                    FROM pillars.jobs job
                   WHERE ((NOT job.parked) AND (job.queue > lanes_1.queue))
                   ORDER BY job.queue, job.priority DESC
                  LIMIT 1)
          LIMIT 1) next)
         )
  SELECT lanes.queue,
     lanes.priority
    FROM lanes;
END;
CREATE FUNCTION pillars.make_days() RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '1s'
    AS $$
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
CREATE FUNCTION pillars.next_prune(keep_completed interval, keep_failed interval, keep_events interval, left_out text[], OUT history text, OUT removes boolean, OUT patient boolean, OUT statement text) RETURNS SETOF record
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
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
$_$;
CREATE FUNCTION pillars.own_channel(worker_id uuid) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN ('pillars_'::text || translate((worker_id)::text, '-'::text, ''::text));
CREATE FUNCTION pillars.park_paused() RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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
CREATE FUNCTION pillars.park_unknown() RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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
CREATE FUNCTION pillars.pause(job_id uuid, asked_by text DEFAULT NULL::text) RETURNS text
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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
COMMENT ON FUNCTION pillars.pause(job_id uuid, asked_by text) IS 'Pause a job: paused, requested (it runs; its worker was told), final (already ended), unknown.';
CREATE FUNCTION pillars.pause_name(name text, asked_by text DEFAULT NULL::text) RETURNS text
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    update pillars.definitions definition
    set paused_at = coalesce(definition.paused_at, pillars.now()),
        paused_by = case when definition.paused_at is null then pillars.asking(asked_by) else definition.paused_by end
    where definition.name = pause_name.name;
    return case when found then 'paused' else 'unknown' end;
end $$;
COMMENT ON FUNCTION pillars.pause_name(name text, asked_by text) IS 'Pause a job name, in all queues: paused, unknown (no process has defined it).';
CREATE FUNCTION pillars.prune_people(keep_audit interval, most integer DEFAULT 10000) RETURNS integer
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
with sessions as (
    delete from pillars.sessions session where session.digest in (
        select over.digest from pillars.sessions over where over.expires_at <= pillars.now()
        order by over.expires_at limit most for update skip locked)
    returning 1
), attempts as (
    delete from pillars.login_attempts attempt where attempt.subject in (
        select over.subject from pillars.login_attempts over where over.since < pillars.now() - interval '1 hour'
        order by over.since limit most for update skip locked)
    returning 1
), trail as (
    delete from pillars.audit entry where entry.audit_id in (
        select oldest.audit_id from pillars.audit oldest order by oldest.audit_id limit most for update skip locked)
    and entry.at < pillars.now() - greatest(keep_audit, interval '30 days')
    returning 1
)
select ((select count(*) from sessions) + (select count(*) from attempts) + (select count(*) from trail))::integer
$$;
CREATE FUNCTION pillars.remove_day(day text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '250ms'
    AS $_$
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
end $_$;
CREATE FUNCTION pillars.rescue(OUT rescued integer, OUT failed integer, OUT cancelled integer) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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
CREATE FUNCTION pillars.resume(job_id uuid) RETURNS text
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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
COMMENT ON FUNCTION pillars.resume(job_id uuid) IS 'Let a paused job go on: resumed, unpaused (it was not paused), final (already ended), unknown.';
CREATE FUNCTION pillars.resume_name(name text) RETURNS text
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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
COMMENT ON FUNCTION pillars.resume_name(name text) IS 'Let a paused job name go on: resumed, unpaused (it was not paused), unknown (no process has defined it).';
CREATE FUNCTION pillars.send(job_id uuid, message jsonb, sent_by text DEFAULT NULL::text) RETURNS text
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    job pillars.jobs;
    size integer := octet_length(send.message::text);
begin
    if size is null or size > 65536 then
        raise exception 'message: expected JSON of at most 65536 bytes, got %; store the bulk elsewhere and pass a reference',
            coalesce(size::text, 'null') using errcode = 'invalid_parameter_value';
    end if;
    for look in 1..2 loop
        select * into job from pillars.jobs held where held.job_id = send.job_id;
        if found then
            if (select count(*) from (select from pillars.job_messages waiting where waiting.job_id = send.job_id limit 1000) waiting) >= 1000 then
                return 'full';
            end if;
            if to_regclass('pillars.job_messages_' || to_char(pillars.now() at time zone 'UTC', 'YYYYMMDD')) is null then
                perform pillars.make_days(); -- no worker has swept for days
            end if;
            insert into pillars.job_messages (job_id, body, sent_by, sent_at)
            values (send.job_id, send.message, pillars.asking(send.sent_by), pillars.now());
            if job.locked_by is not null then
                perform pg_notify(pillars.own_channel(job.locked_by), 'message ' || send.job_id);
            end if;
            return 'sent';
        end if;
        perform from pillars.finished_jobs ended where ended.job_id = send.job_id;
        if found then
            return 'final';
        end if;
    end loop;
    return 'unknown';
end $$;
COMMENT ON FUNCTION pillars.send(job_id uuid, message jsonb, sent_by text) IS 'Say something to a job: sent (its code finds it in its inbox), final (it has ended), full (1,000 wait already), unknown.';
CREATE FUNCTION pillars.shown(value text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN COALESCE(regexp_replace(((to_json("left"(value, 60)))::text COLLATE "C"), '[^ -~]'::text, '?'::text, 'g'::text), 'null'::text);
CREATE FUNCTION pillars.sweep(OUT swept boolean, OUT rescued integer, OUT failed integer, OUT cancelled integer, OUT expired integer, OUT parked integer) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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
CREATE FUNCTION pillars.tick(schedule text, computed_from timestamp with time zone, due_at timestamp with time zone, late boolean, missed integer, next_run_at timestamp with time zone, OUT outcome text, OUT job_id uuid) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '1s'
    AS $$
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
CREATE VIEW pillars.all_jobs AS
 SELECT job.job_id,
    job.name,
    job.queue,
    job.priority,
        CASE
            WHEN (job.paused_at IS NOT NULL) THEN 'paused'::text
            WHEN (job.locked_by IS NOT NULL) THEN 'running'::text
            WHEN job.parked THEN 'waiting'::text
            WHEN ((job.run_at)::timestamp with time zone > pillars.now()) THEN 'scheduled'::text
            ELSE 'ready'::text
        END AS state,
    (job.payload)::jsonb AS payload,
    job.context,
    NULL::jsonb AS result,
    job.last_error,
    (job.attempt)::integer AS attempt,
    (job.max_attempts)::integer AS max_attempts,
    (job.crashes)::integer AS crashes,
    job.lock_token,
    (job.created_at)::timestamp with time zone AS created_at,
    (job.locked_at)::timestamp with time zone AS started_at,
    NULL::timestamp with time zone AS finished_at,
    job.parent_id,
    job.tags,
    job.trace,
    job.unique_key,
    (job.timeout)::interval AS timeout,
    (job.run_at)::timestamp with time zone AS run_at,
    (job.locked_at)::timestamp with time zone AS locked_at,
    job.locked_by,
    (job.deadline_at)::timestamp with time zone AS deadline_at
   FROM pillars.jobs job
UNION ALL
 SELECT ended.job_id,
    ended.name,
    ended.queue,
    ended.priority,
    ended.state,
    ended.payload,
    ended.context,
    ended.result,
    ended.last_error,
    ended.attempt,
    ended.max_attempts,
    ended.crashes,
    ended.lock_token,
    ended.created_at,
    ended.started_at,
    ended.finished_at,
    ended.parent_id,
    ended.tags,
    ended.trace,
    ended.unique_key,
    ended.timeout,
    NULL::timestamp with time zone AS run_at,
    NULL::timestamp with time zone AS locked_at,
    NULL::uuid AS locked_by,
    NULL::timestamp with time zone AS deadline_at
   FROM pillars.finished_jobs ended;
COMMENT ON VIEW pillars.all_jobs IS 'Every job with its state: unfinished ones from pillars.jobs, final ones from pillars.finished_jobs.';
CREATE TABLE pillars.counts (
    part text NOT NULL COLLATE pg_catalog."C",
    figures jsonb NOT NULL,
    counted_at timestamp with time zone DEFAULT pillars.now() NOT NULL,
    took interval NOT NULL
);
COMMENT ON TABLE pillars.counts IS 'What sweeps have counted where a count takes long: the unfinished jobs, and each day of the history that is over.';
COMMENT ON COLUMN pillars.counts.part IS 'jobs, or the table of a day.';
COMMENT ON COLUMN pillars.counts.figures IS 'Of jobs: an array of queue, name, state, jobs, oldest_run_at. Of a day: how many by state.';
CREATE FUNCTION pillars.unfinished() RETURNS TABLE(queue text, name text, state text, jobs bigint, oldest_run_at timestamp with time zone)
    LANGUAGE sql STABLE
    BEGIN ATOMIC
 WITH known AS MATERIALIZED (
          SELECT counted.figures
            FROM pillars.counts counted
           WHERE ((counted.part = 'jobs'::text) AND (counted.counted_at > (pillars.now() - GREATEST('00:02:00'::interval, ((40)::double precision * counted.took)))) AND (pg_relation_size('pillars.jobs'::regclass) > 16777216))
         )
  SELECT figure.queue,
     figure.name,
     figure.state,
     figure.jobs,
     figure.oldest_run_at
    FROM (known
      CROSS JOIN LATERAL jsonb_to_recordset(known.figures) figure(queue text, name text, state text, jobs bigint, oldest_run_at timestamp with time zone))
 UNION ALL
  SELECT job.queue,
     definition.name,
     job.state,
     count(*) AS count,
     min(job.run_at) AS min
    FROM (pillars.all_jobs job
      LEFT JOIN pillars.definitions definition ON ((definition.name = job.name)))
   WHERE ((job.finished_at IS NULL) AND (NOT (EXISTS ( SELECT
            FROM known))))
   GROUP BY job.queue, definition.name, job.state;
END;
CREATE FUNCTION pillars.unpark_name(name text, most integer) RETURNS text[]
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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
CREATE FUNCTION pillars.utc_text(at timestamp with time zone) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN to_char((at AT TIME ZONE 'UTC'::text), 'YYYY-MM-DD"T"HH24:MI:SS"Z"'::text);
CREATE FUNCTION pillars.uuid7() RETURNS uuid
    LANGUAGE sql PARALLEL SAFE
    RETURN (encode(set_byte(OVERLAY(uuid_send(gen_random_uuid()) PLACING SUBSTRING(int8send(((EXTRACT(epoch FROM clock_timestamp()) * (1000)::numeric))::bigint) FROM 3) FROM 1 FOR 6), 6, ((get_byte(uuid_send(gen_random_uuid()), 0) & 15) | 112)), 'hex'::text))::uuid;
CREATE FUNCTION pillars.was_noted(job_id uuid, lock_token bigint, outcome text) RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    return exists (select from pillars.attempts noted
                   where noted.job_id = was_noted.job_id and noted.lock_token = was_noted.lock_token
                     and noted.outcome in (was_noted.outcome, 'cancelled'));
end $$;
CREATE TABLE pillars.accounts (
    name text NOT NULL COLLATE pg_catalog."C",
    scope text NOT NULL,
    password_hash text NOT NULL,
    created_at timestamp with time zone DEFAULT pillars.now() NOT NULL,
    password_at timestamp with time zone DEFAULT pillars.now() NOT NULL,
    CONSTRAINT accounts_name CHECK (((name ~ '^[a-z0-9][a-z0-9._@+-]{0,99}$'::text) AND (name <> ALL (ARRAY['loopback'::text, 'nobody'::text])))),
    CONSTRAINT accounts_scope CHECK ((scope = ANY (ARRAY['view'::text, 'operate'::text])))
);
COMMENT ON TABLE pillars.accounts IS 'People who may log in to the dashboard.';
COMMENT ON COLUMN pillars.accounts.password_hash IS 'scrypt, its parameters, the salt and the hash, as pillars.service.passwords writes them.';
COMMENT ON COLUMN pillars.accounts.password_at IS 'When the password was set.';
CREATE TABLE pillars.attempts (
    job_id uuid NOT NULL,
    attempt integer NOT NULL,
    lock_token bigint,
    outcome text NOT NULL,
    error text,
    traceback text,
    locked_by uuid,
    started_at timestamp with time zone,
    ended_at timestamp with time zone DEFAULT pillars.now() NOT NULL,
    CONSTRAINT attempts_outcome CHECK ((outcome = ANY (ARRAY['failed'::text, 'retried'::text, 'snoozed'::text, 'crashed'::text, 'cancelled'::text])))
)
PARTITION BY RANGE (ended_at);
COMMENT ON TABLE pillars.attempts IS 'Attempts that did not simply complete, a partition a day. A clean first try leaves no row.';
COMMENT ON COLUMN pillars.attempts.outcome IS 'What became of the job: failed, cancelled, or back in its queue (retried, snoozed, crashed).';
CREATE TABLE pillars.audit (
    audit_id bigint NOT NULL,
    at timestamp with time zone DEFAULT pillars.now() NOT NULL,
    actor text NOT NULL,
    action text NOT NULL,
    target text,
    address text,
    details jsonb DEFAULT '{}'::jsonb NOT NULL,
    CONSTRAINT audit_details CHECK ((jsonb_typeof(details) = 'object'::text))
);
COMMENT ON TABLE pillars.audit IS 'What people and their programs changed: written, never changed, removed only by age.';
COMMENT ON COLUMN pillars.audit.actor IS 'An account; PILLARS_TOKEN or PILLARS_VIEW_TOKEN; loopback, where no token is set; cli: and a user of the machine; job: and a job''s name; nobody, of a login that failed.';
COMMENT ON COLUMN pillars.audit.target IS 'The job''s id, or the name of the queue, schedule or account; null of several.';
COMMENT ON COLUMN pillars.audit.address IS 'Where the request came from; null of a command.';
ALTER TABLE pillars.audit ALTER COLUMN audit_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME pillars.audit_audit_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE pillars.finished_completed (
    job_id uuid CONSTRAINT finished_jobs_job_id_not_null NOT NULL,
    name text CONSTRAINT finished_jobs_name_not_null NOT NULL COLLATE pg_catalog."C",
    queue text CONSTRAINT finished_jobs_queue_not_null NOT NULL COLLATE pg_catalog."C",
    priority integer CONSTRAINT finished_jobs_priority_not_null NOT NULL,
    state text CONSTRAINT finished_jobs_state_not_null NOT NULL COLLATE pg_catalog."C",
    payload jsonb,
    context text,
    result jsonb,
    last_error text,
    attempt integer CONSTRAINT finished_jobs_attempt_not_null NOT NULL,
    max_attempts integer,
    crashes integer CONSTRAINT finished_jobs_crashes_not_null NOT NULL,
    lock_token bigint,
    created_at timestamp with time zone CONSTRAINT finished_jobs_created_at_not_null NOT NULL,
    started_at timestamp with time zone,
    finished_at timestamp with time zone DEFAULT pillars.now() CONSTRAINT finished_jobs_finished_at_not_null NOT NULL,
    parent_id uuid,
    tags text[],
    trace text,
    unique_key text COLLATE pg_catalog."C",
    timeout interval,
    CONSTRAINT finished_jobs_state CHECK ((state = ANY (ARRAY['completed'::text, 'failed'::text, 'cancelled'::text, 'expired'::text])))
)
PARTITION BY RANGE (finished_at);
COMMENT ON TABLE pillars.finished_completed IS 'Completed jobs, a partition a day.';
CREATE TABLE pillars.finished_ended (
    job_id uuid CONSTRAINT finished_jobs_job_id_not_null NOT NULL,
    name text CONSTRAINT finished_jobs_name_not_null NOT NULL COLLATE pg_catalog."C",
    queue text CONSTRAINT finished_jobs_queue_not_null NOT NULL COLLATE pg_catalog."C",
    priority integer CONSTRAINT finished_jobs_priority_not_null NOT NULL,
    state text CONSTRAINT finished_jobs_state_not_null NOT NULL COLLATE pg_catalog."C",
    payload jsonb,
    context text,
    result jsonb,
    last_error text,
    attempt integer CONSTRAINT finished_jobs_attempt_not_null NOT NULL,
    max_attempts integer,
    crashes integer CONSTRAINT finished_jobs_crashes_not_null NOT NULL,
    lock_token bigint,
    created_at timestamp with time zone CONSTRAINT finished_jobs_created_at_not_null NOT NULL,
    started_at timestamp with time zone,
    finished_at timestamp with time zone DEFAULT pillars.now() CONSTRAINT finished_jobs_finished_at_not_null NOT NULL,
    parent_id uuid,
    tags text[],
    trace text,
    unique_key text COLLATE pg_catalog."C",
    timeout interval,
    CONSTRAINT finished_jobs_state CHECK ((state = ANY (ARRAY['completed'::text, 'failed'::text, 'cancelled'::text, 'expired'::text])))
)
PARTITION BY RANGE (finished_at);
COMMENT ON TABLE pillars.finished_ended IS 'Failed, cancelled and expired jobs, a partition a day.';
CREATE TABLE pillars.job_events (
    event_id bigint NOT NULL,
    job_id uuid NOT NULL,
    attempt integer NOT NULL,
    kind text NOT NULL COLLATE pg_catalog."C",
    body jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT pillars.now() NOT NULL,
    CONSTRAINT job_events_kind CHECK ((kind = ANY (ARRAY['progress'::text, 'log'::text, 'output'::text, 'metadata'::text])))
)
PARTITION BY RANGE (created_at);
COMMENT ON TABLE pillars.job_events IS 'What running jobs say, a partition a day.';
COMMENT ON COLUMN pillars.job_events.event_id IS 'Drawn and committed by one writer at a time: who has read up to one has missed none before it. Holes are no gaps.';
COMMENT ON COLUMN pillars.job_events.kind IS 'progress and metadata, of which the newest counts; log, of its logger and its output streams; output, what it emits.';
CREATE SEQUENCE pillars.job_event_ids
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE pillars.job_event_ids OWNED BY pillars.job_events.event_id;
COMMENT ON SEQUENCE pillars.job_event_ids IS 'Ids of job_events, drawn under advisory lock 6.';
CREATE TABLE pillars.job_messages (
    message_id bigint NOT NULL,
    job_id uuid NOT NULL,
    body jsonb NOT NULL,
    sent_by text,
    sent_at timestamp with time zone DEFAULT pillars.now() NOT NULL
)
PARTITION BY RANGE (sent_at);
COMMENT ON TABLE pillars.job_messages IS 'Messages to jobs that they have not taken yet, a partition a day.';
COMMENT ON COLUMN pillars.job_messages.sent_by IS 'Who sent it, for people.';
CREATE SEQUENCE pillars.job_message_ids
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE pillars.job_message_ids OWNED BY pillars.job_messages.message_id;
COMMENT ON SEQUENCE pillars.job_message_ids IS 'Ids of job_messages.';
CREATE TABLE pillars.locks (
    lock_token bigint NOT NULL,
    locked_by uuid NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    job_ids uuid[] NOT NULL
)
WITH (fillfactor='50', autovacuum_vacuum_scale_factor='0.02', autovacuum_vacuum_threshold='200', autovacuum_vacuum_cost_delay='0');
ALTER TABLE ONLY pillars.locks ALTER COLUMN job_ids SET STORAGE EXTERNAL;
COMMENT ON TABLE pillars.locks IS 'One row a claim. Heartbeats extend these rows and rescue reads them; no job row is written or searched for either.';
COMMENT ON COLUMN pillars.locks.locked_by IS 'The worker; the nil uuid once a sweep has given away jobs of the claim, so that no heartbeat revives it.';
ALTER TABLE pillars.locks ALTER COLUMN lock_token ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME pillars.locks_lock_token_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE pillars.login_attempts (
    subject text NOT NULL COLLATE pg_catalog."C",
    since timestamp with time zone DEFAULT pillars.now() NOT NULL,
    attempts integer DEFAULT 1 NOT NULL
)
WITH (fillfactor='50');
COMMENT ON TABLE pillars.login_attempts IS 'How often something was tried since a moment: logins by name (hashed: people mistype) and by address, failures that fit no account.';
CREATE TABLE pillars.migrations (
    track text NOT NULL,
    version integer NOT NULL,
    name text NOT NULL,
    checksum text NOT NULL,
    applied_at timestamp with time zone DEFAULT now() NOT NULL
);
COMMENT ON TABLE pillars.migrations IS 'Which migration files this database has: of the runtime (track pillars) and of the app (track app).';
CREATE TABLE pillars.queues (
    name text NOT NULL COLLATE pg_catalog."C",
    paused_at pillars.moment
);
COMMENT ON TABLE pillars.queues IS 'What people said of a queue. A queue that nobody spoke of has no row and is not paused.';
CREATE VIEW pillars.queue_stats AS
 SELECT COALESCE(waiting.queue, spoken.name) AS queue,
    COALESCE(waiting.ready, (0)::bigint) AS ready,
    COALESCE(waiting.running, (0)::bigint) AS running,
    COALESCE(waiting.scheduled, (0)::bigint) AS scheduled,
    COALESCE(waiting.parked, (0)::bigint) AS parked,
    (COALESCE(EXTRACT(epoch FROM (pillars.now() - waiting.oldest_ready_at)), (0)::numeric))::double precision AS oldest_ready_seconds,
    (spoken.paused_at IS NOT NULL) AS paused
   FROM (( SELECT job.queue,
            count(*) FILTER (WHERE ((job.locked_by IS NULL) AND (NOT job.parked) AND ((job.run_at)::timestamp with time zone <= pillars.now()))) AS ready,
            count(*) FILTER (WHERE ((job.locked_by IS NOT NULL) AND (job.paused_at IS NULL))) AS running,
            count(*) FILTER (WHERE ((job.locked_by IS NULL) AND (NOT job.parked) AND ((job.run_at)::timestamp with time zone > pillars.now()))) AS scheduled,
            count(*) FILTER (WHERE job.parked) AS parked,
            min((job.run_at)::timestamp with time zone) FILTER (WHERE ((job.locked_by IS NULL) AND (NOT job.parked) AND ((job.run_at)::timestamp with time zone <= pillars.now()))) AS oldest_ready_at
           FROM pillars.jobs job
          GROUP BY job.queue) waiting
     FULL JOIN pillars.queues spoken ON ((spoken.name = waiting.queue)));
COMMENT ON VIEW pillars.queue_stats IS 'Unfinished jobs by queue: ready, running, scheduled, parked, age of the oldest ready one, paused.';
CREATE VIEW pillars.redacted_attempts AS
 SELECT job_id,
    attempt,
    outcome,
    locked_by,
    started_at,
    ended_at
   FROM pillars.attempts attempt;
COMMENT ON VIEW pillars.redacted_attempts IS 'Attempts that did not simply complete, without their errors.';
CREATE VIEW pillars.redacted_jobs AS
 SELECT job_id,
    name,
    queue,
    priority,
    state,
    attempt,
    max_attempts,
    crashes,
    created_at,
    started_at,
    finished_at,
    parent_id,
    tags,
    timeout,
    run_at,
    locked_at,
    locked_by,
    deadline_at
   FROM pillars.all_jobs job;
COMMENT ON VIEW pillars.redacted_jobs IS 'Every job with its state and times, without payload, context, result, error and unique key.';
CREATE TABLE pillars.schedules (
    name text NOT NULL COLLATE pg_catalog."C",
    job text NOT NULL COLLATE pg_catalog."C",
    payload jsonb DEFAULT '{}'::jsonb NOT NULL,
    queue text NOT NULL COLLATE pg_catalog."C",
    priority integer DEFAULT 0 NOT NULL,
    max_attempts integer NOT NULL,
    timeout interval,
    expires_in interval,
    unique_key text COLLATE pg_catalog."C",
    context text,
    tags text[],
    every interval,
    crontab text,
    timezone text DEFAULT 'UTC'::text NOT NULL,
    catchup text DEFAULT 'latest'::text NOT NULL,
    overlap text DEFAULT 'skip'::text NOT NULL,
    jitter interval DEFAULT '00:00:00'::interval NOT NULL,
    catchup_window interval,
    next_run_at timestamp with time zone,
    last_job_id uuid,
    paused_at pillars.moment,
    paused_in_code boolean DEFAULT false NOT NULL,
    deployment text NOT NULL,
    last_error text,
    created_at timestamp with time zone DEFAULT pillars.now() NOT NULL,
    updated_at timestamp with time zone DEFAULT pillars.now() NOT NULL,
    CONSTRAINT schedules_catchup CHECK ((catchup = ANY (ARRAY['latest'::text, 'all'::text, 'skip'::text]))),
    CONSTRAINT schedules_every CHECK (((every >= '00:00:01'::interval) AND (every <= '3650 days'::interval))),
    CONSTRAINT schedules_expires_in CHECK (((expires_in >= '00:00:00'::interval) AND (expires_in <= '3650 days'::interval))),
    CONSTRAINT schedules_jitter CHECK (((jitter >= '00:00:00'::interval) AND (jitter <= '3650 days'::interval))),
    CONSTRAINT schedules_next_run_at CHECK (((next_run_at >= '2000-01-01 00:00:00+00'::timestamp with time zone) AND (next_run_at <= '2200-01-01 00:00:00+00'::timestamp with time zone))),
    CONSTRAINT schedules_one_rule CHECK (((every IS NULL) <> (crontab IS NULL))),
    CONSTRAINT schedules_overlap CHECK ((overlap = ANY (ARRAY['skip'::text, 'queue'::text, 'allow'::text]))),
    CONSTRAINT schedules_timeout CHECK (((timeout >= '00:00:00'::interval) AND (timeout <= '3650 days'::interval))),
    CONSTRAINT schedules_window CHECK (((catchup_window >= '00:00:00'::interval) AND (catchup_window <= '3650 days'::interval)))
)
WITH (fillfactor='50');
COMMENT ON TABLE pillars.schedules IS 'Periodic rules, synced from code at boot; the leader computes ticks from the rule in the row.';
COMMENT ON COLUMN pillars.schedules.next_run_at IS 'No tick before it is undecided; the next tick, but for a moment after a resume. Null when the rule has none.';
COMMENT ON COLUMN pillars.schedules.last_job_id IS 'The job of the last tick that made one, by which overlap is judged.';
COMMENT ON COLUMN pillars.schedules.paused_in_code IS 'What the code said at the last sync: only its change moves paused_at, so a person''s pause outlives a deploy.';
COMMENT ON COLUMN pillars.schedules.last_error IS 'Why the schedule could not be ticked, while that lasts.';
CREATE VIEW pillars.redacted_schedules AS
 SELECT name,
    job,
    queue,
    priority,
    every,
    crontab,
    timezone,
    catchup,
    overlap,
    jitter,
    catchup_window,
    next_run_at,
    last_job_id,
    (paused_at)::timestamp with time zone AS paused_at,
    deployment,
    created_at,
    updated_at
   FROM pillars.schedules schedule;
COMMENT ON VIEW pillars.redacted_schedules IS 'Periodic rules, without the arguments of their jobs.';
CREATE TABLE pillars.sessions (
    digest bytea NOT NULL,
    account text COLLATE pg_catalog."C",
    scope text NOT NULL,
    seal bytea NOT NULL,
    created_at timestamp with time zone DEFAULT pillars.now() NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    CONSTRAINT sessions_scope CHECK ((scope = ANY (ARRAY['view'::text, 'operate'::text])))
);
COMMENT ON TABLE pillars.sessions IS 'Logins to the dashboard that have not ended.';
COMMENT ON COLUMN pillars.sessions.digest IS 'SHA-256 of the session''s id, which only the browser has.';
COMMENT ON COLUMN pillars.sessions.account IS 'Whose it is; null where it was opened by PILLARS_TOKEN (scope operate) or PILLARS_VIEW_TOKEN (view).';
COMMENT ON COLUMN pillars.sessions.scope IS 'At the login; an account''s own row decides.';
COMMENT ON COLUMN pillars.sessions.seal IS 'HMAC of the id under the secret that opened it: a password or token that changed opens it no more.';
CREATE TABLE pillars.ticks (
    schedule text NOT NULL COLLATE pg_catalog."C",
    tick timestamp with time zone NOT NULL,
    job_id uuid,
    outcome text NOT NULL,
    missed integer DEFAULT 0 NOT NULL,
    created_at timestamp with time zone DEFAULT pillars.now() NOT NULL,
    CONSTRAINT ticks_outcome CHECK ((outcome = ANY (ARRAY['enqueued'::text, 'overlapped'::text, 'late'::text])))
);
COMMENT ON TABLE pillars.ticks IS 'One row per due moment of a schedule, whatever the leaders do: the primary key is the guarantee.';
COMMENT ON COLUMN pillars.ticks.job_id IS 'The job that the tick made; of an overlapped one, the unfinished job that was in its way.';
COMMENT ON COLUMN pillars.ticks.outcome IS 'enqueued; or why not: overlapped (an unfinished job was in its way), late (outside the catch-up window).';
COMMENT ON COLUMN pillars.ticks.missed IS 'Earlier due moments that this one stands for; counted to 1000 for a crontab.';
CREATE TABLE pillars.workers (
    worker_id uuid NOT NULL,
    role text NOT NULL,
    host text NOT NULL,
    pid integer NOT NULL,
    version text NOT NULL,
    commit_sha text,
    deployment text NOT NULL,
    state text NOT NULL,
    queues text[],
    slots integer NOT NULL,
    running integer DEFAULT 0 NOT NULL,
    listening boolean,
    leads boolean DEFAULT false NOT NULL,
    started_at timestamp with time zone DEFAULT pillars.now() NOT NULL,
    seen_at timestamp with time zone DEFAULT pillars.now() NOT NULL,
    CONSTRAINT workers_role CHECK ((role = ANY (ARRAY['web'::text, 'worker'::text, 'cron'::text]))),
    CONSTRAINT workers_state CHECK ((state = ANY (ARRAY['starting'::text, 'running'::text, 'draining'::text])))
)
WITH (fillfactor='50');
COMMENT ON TABLE pillars.workers IS 'One row a process, for people and health; nothing about jobs is decided by it.';
ALTER TABLE ONLY pillars.finished_jobs ATTACH PARTITION pillars.finished_completed FOR VALUES IN ('completed');
ALTER TABLE ONLY pillars.finished_jobs ATTACH PARTITION pillars.finished_ended FOR VALUES IN ('failed', 'cancelled', 'expired');
ALTER TABLE ONLY pillars.job_messages ALTER COLUMN message_id SET DEFAULT nextval('pillars.job_message_ids'::regclass);
ALTER TABLE ONLY pillars.accounts
    ADD CONSTRAINT accounts_pkey PRIMARY KEY (name);
ALTER TABLE ONLY pillars.audit
    ADD CONSTRAINT audit_pkey PRIMARY KEY (audit_id);
ALTER TABLE ONLY pillars.counts
    ADD CONSTRAINT counts_pkey PRIMARY KEY (part);
ALTER TABLE ONLY pillars.definitions
    ADD CONSTRAINT definitions_pkey PRIMARY KEY (name);
ALTER TABLE ONLY pillars.jobs
    ADD CONSTRAINT jobs_pkey PRIMARY KEY (job_id);
ALTER TABLE ONLY pillars.locks
    ADD CONSTRAINT locks_pkey PRIMARY KEY (lock_token);
ALTER TABLE ONLY pillars.login_attempts
    ADD CONSTRAINT login_attempts_pkey PRIMARY KEY (subject);
ALTER TABLE ONLY pillars.migrations
    ADD CONSTRAINT migrations_pkey PRIMARY KEY (track, version);
ALTER TABLE ONLY pillars.queues
    ADD CONSTRAINT queues_pkey PRIMARY KEY (name);
ALTER TABLE ONLY pillars.schedules
    ADD CONSTRAINT schedules_pkey PRIMARY KEY (name);
ALTER TABLE ONLY pillars.sessions
    ADD CONSTRAINT sessions_pkey PRIMARY KEY (digest);
ALTER TABLE ONLY pillars.ticks
    ADD CONSTRAINT ticks_pkey PRIMARY KEY (schedule, tick);
ALTER TABLE ONLY pillars.workers
    ADD CONSTRAINT workers_pkey PRIMARY KEY (worker_id);
CREATE INDEX attempts_job_id ON ONLY pillars.attempts USING btree (job_id);
CREATE INDEX definitions_paused ON pillars.definitions USING btree (name) WHERE (paused_at IS NOT NULL);
CREATE INDEX finished_jobs_job_id ON ONLY pillars.finished_jobs USING btree (job_id);
CREATE INDEX finished_completed_job_id_idx ON ONLY pillars.finished_completed USING btree (job_id);
CREATE INDEX finished_ended_job_id_idx ON ONLY pillars.finished_ended USING btree (job_id);
CREATE INDEX job_events_event_id ON ONLY pillars.job_events USING btree (event_id);
CREATE INDEX job_events_job_id ON ONLY pillars.job_events USING btree (job_id, event_id);
CREATE INDEX job_events_newest ON ONLY pillars.job_events USING btree (job_id, kind, event_id) WHERE (kind = ANY (ARRAY['progress'::text, 'metadata'::text]));
CREATE INDEX job_messages_job_id ON ONLY pillars.job_messages USING btree (job_id, message_id);
CREATE INDEX jobs_claim ON pillars.jobs USING btree (queue, priority DESC, run_at, job_id) WHERE (NOT parked);
CREATE INDEX jobs_expiring ON pillars.jobs USING btree (expires_at) WHERE (expires_at IS NOT NULL);
CREATE INDEX jobs_parked_ids ON pillars.jobs USING btree (job_id) WHERE parked;
CREATE UNIQUE INDEX jobs_unique ON pillars.jobs USING btree (unique_key) WHERE (unique_key IS NOT NULL);
CREATE INDEX jobs_waiting ON pillars.jobs USING btree (waiting_for, name) WHERE (parked AND (waiting_for IS NOT NULL));
CREATE INDEX login_attempts_since ON pillars.login_attempts USING btree (since);
CREATE INDEX sessions_account ON pillars.sessions USING btree (account) WHERE (account IS NOT NULL);
CREATE INDEX sessions_expires_at ON pillars.sessions USING btree (expires_at);
CREATE INDEX ticks_created_at ON pillars.ticks USING btree (created_at);
ALTER INDEX pillars.finished_jobs_job_id ATTACH PARTITION pillars.finished_completed_job_id_idx;
ALTER INDEX pillars.finished_jobs_job_id ATTACH PARTITION pillars.finished_ended_job_id_idx;
