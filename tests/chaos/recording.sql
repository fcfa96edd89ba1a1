-- What a database of the chaos suite notes beside what the runtime does: every change of who holds a job, and of how long, in the transaction
-- that makes it. Numbers of one job's events are in the order of its changes, since each is drawn under the row's lock.
create schema chaos;

create table chaos.events (
    number bigint generated always as identity primary key,
    job_id uuid not null,
    what text not null, -- made, claimed, taken, freed, gone, ended, redriven
    token bigint,       -- the claim that this is about
    owner uuid,
    attempt integer,
    max_attempts integer,
    crashes integer,
    run_at timestamptz,
    key text,           -- of made: the unique key
    -- Whether a sweep did it: told by the statement that is running, and not by what it wrote.
    swept boolean not null default (current_query() like '%pillars.sweep(%'),
    state text,
    told jsonb,         -- of made: the payload; of claimed: whether it was paused; of ended: the result
    noted_at timestamptz not null default clock_timestamp(),
    began_at timestamptz not null default now() -- of the transaction
);

create table chaos.locks (
    number bigint not null default nextval('chaos.events_number_seq'),
    token bigint not null,
    expires_at timestamptz not null,
    noted_at timestamptz not null default clock_timestamp()
);

create function chaos.note_job() returns trigger language plpgsql as $$
begin
    if tg_op = 'INSERT' then
        insert into chaos.events (job_id, what, token, owner, attempt, max_attempts, crashes, run_at, key, told)
        values (new.job_id, 'made', new.lock_token, new.locked_by, new.attempt, new.max_attempts, new.crashes, new.run_at, new.unique_key,
                new.payload);
    elsif tg_op = 'DELETE' then
        insert into chaos.events (job_id, what, token, owner, attempt, max_attempts, crashes, run_at)
        values (old.job_id, 'gone', old.lock_token, old.locked_by, old.attempt, old.max_attempts, old.crashes, old.run_at);
    elsif new.lock_token is not null then
        insert into chaos.events (job_id, what, token, owner, attempt, max_attempts, crashes, run_at, told)
        values (new.job_id, case when old.lock_token is null then 'claimed' else 'taken' end, new.lock_token, new.locked_by,
                new.attempt, new.max_attempts, new.crashes, new.run_at,
                case when coalesce(old.pause_requested_at, old.paused_at) is not null then jsonb_build_object('paused', true) end);
    else
        insert into chaos.events (job_id, what, token, owner, attempt, max_attempts, crashes, run_at)
        values (new.job_id, 'freed', old.lock_token, old.locked_by,
                new.attempt, new.max_attempts, new.crashes, new.run_at);
    end if;
    return null;
end $$;

create function chaos.note_end() returns trigger language plpgsql as $$
begin
    if tg_op = 'INSERT' then
        insert into chaos.events (job_id, what, token, attempt, max_attempts, crashes, state, told)
        values (new.job_id, 'ended', new.lock_token, new.attempt, new.max_attempts, new.crashes, new.state, new.result);
    else
        insert into chaos.events (job_id, what, token, attempt, max_attempts, crashes, state)
        values (old.job_id, 'redriven', old.lock_token, old.attempt, old.max_attempts, old.crashes, old.state);
    end if;
    return null;
end $$;

create function chaos.note_lock() returns trigger language plpgsql as $$
begin
    insert into chaos.locks (token, expires_at) values (new.lock_token, new.expires_at);
    return null;
end $$;

create trigger made_or_gone after insert or delete on pillars.jobs for each row execute function chaos.note_job();
create trigger changed_hands after update on pillars.jobs for each row
    when (old.lock_token is distinct from new.lock_token) execute function chaos.note_job();
create trigger ended after insert or delete on pillars.finished_jobs for each row execute function chaos.note_end();
create trigger prolonged after insert or update of expires_at on pillars.locks for each row execute function chaos.note_lock();
