-- Every table of the runtime.
--
-- Unfinished jobs live in pillars.jobs, final ones in pillars.finished_jobs: a row is in exactly one of them, and every move between
-- the two is one statement. Who may write about a running job is said by its lock_token, drawn anew for every claim: a write with an
-- older token finds no row. Nothing that a claim or a heartbeat writes stands in an index, so a claim is a heap-only update.

-- The clock of record. It inlines to now(); the test schema replaces it with a clock that tests move.
create function pillars.now() returns timestamptz
language sql stable parallel safe
return pg_catalog.now();

-- What a job's columns can hold. A check of the table would be read anew at each statement, which takes as long as the insert of one row; that of
-- a domain is kept by the session. Only what two columns must agree on is left to a check of the table.
create domain pillars.moment as timestamptz constraint moment_is_within_2000_to_2200 check (value between '2000-01-01 00:00+00' and '2200-01-01 00:00+00');
-- Bounds leave room for what is added to a value: one row that overflows would fail the claim, the sweep or the tick of all.
create domain pillars.length as interval constraint length_is_0_to_3650_days check (value between interval '0' and interval '3650 days');
create domain pillars.counter as integer constraint counter_is_0_to_1000000 check (value between 0 and 1000000);
create domain pillars.tries as integer constraint tries_are_1_to_1000 check (value between 1 and 1000);
create domain pillars.arguments as jsonb constraint arguments_are_an_object check (jsonb_typeof(value) = 'object');

create table pillars.jobs (
    job_id uuid primary key,
    queue text collate "C" not null,
    name text collate "C" not null,
    payload pillars.arguments not null default '{}',
    context text,
    priority integer not null default 0,
    run_at pillars.moment not null default pillars.now(),
    created_at pillars.moment not null default pillars.now(),
    -- What a claim writes stands together: the WAL of a heap-only update has the bytes from the first that changes to the last.
    locked_at pillars.moment,
    deadline_at pillars.moment,
    lock_token bigint,
    locked_by uuid,
    attempt pillars.counter not null default 0,
    max_attempts pillars.tries,
    crashes pillars.counter not null default 0,
    parked boolean not null default false,
    expires_at pillars.moment,
    timeout pillars.length,
    unique_key text collate "C",
    tags text[],
    parent_id uuid,
    cancel_requested_at pillars.moment,
    cancel_requested_by text,
    pause_requested_at pillars.moment,
    paused_at pillars.moment,
    paused_by text,
    waiting_for text collate "C",
    last_error text,
    trace text,
    constraint jobs_held_by_a_token check ((locked_by is null) = (lock_token is null))
) with (
    fillfactor = 50, -- room on the page for the claim's new version
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_cost_delay = 0,
    autovacuum_analyze_scale_factor = 0.05
);

comment on table pillars.jobs is 'Unfinished jobs. Running is locked_by is not null; parked rows (waiting, paused) are out of the claim''s sight.';
comment on column pillars.jobs.job_id is 'UUIDv7, made by whoever enqueues, so that a repeat of an enqueue is recognised.';
comment on column pillars.jobs.lock_token is 'The fence, with locked_by: one per claim, null unless running.';
comment on column pillars.jobs.attempt is 'Attempts begun; 1 during the first. A released or rescued one is given back.';
comment on column pillars.jobs.max_attempts is 'Null only until the first claim of a job whose name nobody had defined.';
comment on column pillars.jobs.timeout is 'Of one attempt. Null: the definition''s. Zero: none.';
comment on column pillars.jobs.expires_at is 'Not begun by then, the job ends expired. Null again once its code was started.';
comment on column pillars.jobs.unique_key is 'At most one unfinished job holds it; hashed over 200 bytes.';
comment on column pillars.jobs.cancel_requested_by is 'Who asked first; the reason that the ended job bears.';
comment on column pillars.jobs.pause_requested_at is 'Of a running job: its code is to pause; whatever puts the job back pauses it.';
comment on column pillars.jobs.paused_at is 'Since when nothing of it runs. A running one keeps its slot and its lock, and its deadline rests.';
comment on column pillars.jobs.paused_by is 'Who asked for the pause.';
comment on column pillars.jobs.waiting_for is 'Why a row is parked: definition (no process has defined its name), name (its name is paused), or "job" and the id of the one that must end first.';

create index jobs_claim on pillars.jobs (queue, priority desc, run_at, job_id) where not parked;
create unique index jobs_unique on pillars.jobs (unique_key) where unique_key is not null;
create index jobs_expiring on pillars.jobs (expires_at) where expires_at is not null;
create index jobs_parked_ids on pillars.jobs (job_id) where parked;
create index jobs_waiting on pillars.jobs (waiting_for, name) where parked and waiting_for is not null;

create table pillars.locks (
    lock_token bigint generated by default as identity primary key,
    locked_by uuid not null,
    expires_at timestamptz not null,
    job_ids uuid[] not null
) with (
    fillfactor = 50,
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_threshold = 200,
    autovacuum_vacuum_cost_delay = 0
);

-- Ids do not get smaller by compression, and a large claim's would be tried at every claim.
alter table pillars.locks alter column job_ids set storage external;

comment on table pillars.locks is 'One row a claim. Heartbeats extend these rows and rescue reads them; no job row is written or searched for either.';
comment on column pillars.locks.locked_by is 'The worker; the nil uuid once a sweep has given away jobs of the claim, so that no heartbeat revives it.';

create table pillars.finished_jobs (
    job_id uuid not null,
    name text collate "C" not null,
    queue text collate "C" not null,
    priority integer not null,
    state text collate "C" not null,
    payload jsonb,
    context text,
    result jsonb,
    last_error text,
    attempt integer not null,
    max_attempts integer,
    crashes integer not null,
    lock_token bigint,
    created_at timestamptz not null,
    started_at timestamptz,
    finished_at timestamptz not null default pillars.now(),
    parent_id uuid,
    tags text[],
    trace text,
    unique_key text collate "C",
    timeout interval,
    constraint finished_jobs_state check (state in ('completed', 'failed', 'cancelled', 'expired'))
) partition by list (state);

comment on table pillars.finished_jobs is 'One row per final job, partitioned by state (completed, the rest) and then by UTC day of finished_at.';
comment on column pillars.finished_jobs.lock_token is 'The claim that ended it, by which a repeated finish recognises itself.';
comment on column pillars.finished_jobs.started_at is 'When the last attempt was claimed.';

create table pillars.finished_completed partition of pillars.finished_jobs
    for values in ('completed') partition by range (finished_at);
create table pillars.finished_ended partition of pillars.finished_jobs
    for values in ('failed', 'cancelled', 'expired') partition by range (finished_at);

comment on table pillars.finished_completed is 'Completed jobs, a partition a day.';
comment on table pillars.finished_ended is 'Failed, cancelled and expired jobs, a partition a day.';

create index finished_jobs_job_id on pillars.finished_jobs (job_id);

create table pillars.attempts (
    job_id uuid not null,
    attempt integer not null,
    lock_token bigint,
    outcome text not null,
    error text,
    traceback text,
    locked_by uuid,
    started_at timestamptz,
    ended_at timestamptz not null default pillars.now(),
    constraint attempts_outcome check (outcome in ('failed', 'retried', 'snoozed', 'crashed', 'cancelled'))
) partition by range (ended_at);

comment on table pillars.attempts is 'Attempts that did not simply complete, a partition a day. A clean first try leaves no row.';
comment on column pillars.attempts.outcome is 'What became of the job: failed, cancelled, or back in its queue (retried, snoozed, crashed).';

create index attempts_job_id on pillars.attempts (job_id);

create table pillars.definitions (
    name text collate "C" primary key,
    kind text not null,
    queue text collate "C" not null,
    priority integer not null,
    max_attempts integer not null,
    max_crashes integer not null,
    timeout interval not null,
    keep text not null,
    tags text[] not null,
    deployment text not null,
    defined_at timestamptz not null default pillars.now(),
    paused_at pillars.moment,
    paused_by text,
    constraint definitions_max_attempts check (max_attempts between 1 and 1000),
    constraint definitions_max_crashes check (max_crashes between 1 and 1000),
    constraint definitions_timeout check (timeout between interval '0' and interval '3650 days'),
    constraint definitions_kind check (kind in ('async', 'thread', 'process')),
    constraint definitions_keep check (keep in ('full', 'slim', 'failed', 'none'))
);

comment on table pillars.definitions is 'What the code says of each job name; every process writes it at boot. SQL enqueues take their defaults from it.';
comment on column pillars.definitions.paused_at is 'Since when no worker claims jobs of this name, because a person said so; no deploy changes it.';
comment on column pillars.definitions.timeout is 'Of one attempt; zero means none.';
comment on column pillars.definitions.keep is 'What is left of a final job: full; slim (completed without payload and result); failed (only what did not complete); none.';

-- Every claim reads it; while no name is paused there is nothing to read.
create index definitions_paused on pillars.definitions (name) where paused_at is not null;

create table pillars.queues (
    name text collate "C" primary key,
    paused_at pillars.moment
);

comment on table pillars.queues is 'What people said of a queue. A queue that nobody spoke of has no row and is not paused.';

create table pillars.workers (
    worker_id uuid primary key,
    role text not null,
    host text not null,
    pid integer not null,
    version text not null,
    commit_sha text,
    deployment text not null,
    state text not null,
    queues text[],
    slots integer not null,
    running integer not null default 0,
    listening boolean,
    leads boolean not null default false,
    started_at timestamptz not null default pillars.now(),
    seen_at timestamptz not null default pillars.now(),
    constraint workers_role check (role in ('web', 'worker', 'cron')),
    constraint workers_state check (state in ('starting', 'running', 'draining'))
) with (fillfactor = 50);

comment on table pillars.workers is 'One row a process, for people and health; nothing about jobs is decided by it.';

create table pillars.schedules (
    name text collate "C" primary key,
    job text collate "C" not null,
    payload jsonb not null default '{}',
    queue text collate "C" not null,
    priority integer not null default 0,
    max_attempts integer not null,
    timeout interval,
    expires_in interval,
    unique_key text collate "C",
    context text,
    tags text[],
    every interval,
    crontab text,
    timezone text not null default 'UTC',
    catchup text not null default 'latest',
    overlap text not null default 'skip',
    jitter interval not null default '0',
    catchup_window interval,
    next_run_at timestamptz,
    last_job_id uuid,
    paused_at pillars.moment,
    paused_in_code boolean not null default false,
    deployment text not null,
    last_error text,
    created_at timestamptz not null default pillars.now(),
    updated_at timestamptz not null default pillars.now(),
    constraint schedules_timeout check (timeout between interval '0' and interval '3650 days'),
    constraint schedules_expires_in check (expires_in between interval '0' and interval '3650 days'),
    constraint schedules_one_rule check ((every is null) <> (crontab is null)),
    constraint schedules_every check (every between interval '1 second' and interval '3650 days'),
    constraint schedules_catchup check (catchup in ('latest', 'all', 'skip')),
    constraint schedules_overlap check (overlap in ('skip', 'queue', 'allow')),
    constraint schedules_jitter check (jitter between interval '0' and interval '3650 days'),
    constraint schedules_window check (catchup_window between interval '0' and interval '3650 days'),
    constraint schedules_next_run_at check (next_run_at between '2000-01-01 00:00+00' and '2200-01-01 00:00+00')
) with (fillfactor = 50); -- every tick is a heap-only update

comment on table pillars.schedules is 'Periodic rules, synced from code at boot; the leader computes ticks from the rule in the row.';
comment on column pillars.schedules.next_run_at is 'No tick before it is undecided; the next tick, but for a moment after a resume. Null when the rule has none.';
comment on column pillars.schedules.last_job_id is 'The job of the last tick that made one, by which overlap is judged.';
comment on column pillars.schedules.paused_in_code is 'What the code said at the last sync: only its change moves paused_at, so a person''s pause outlives a deploy.';
comment on column pillars.schedules.last_error is 'Why the schedule could not be ticked, while that lasts.';

create table pillars.ticks (
    schedule text collate "C" not null,
    tick timestamptz not null,
    job_id uuid,
    outcome text not null,
    missed integer not null default 0,
    created_at timestamptz not null default pillars.now(),
    primary key (schedule, tick),
    constraint ticks_outcome check (outcome in ('enqueued', 'overlapped', 'late'))
);

comment on table pillars.ticks is 'One row per due moment of a schedule, whatever the leaders do: the primary key is the guarantee.';
comment on column pillars.ticks.job_id is 'The job that the tick made; of an overlapped one, the unfinished job that was in its way.';
comment on column pillars.ticks.outcome is 'enqueued; or why not: overlapped (an unfinished job was in its way), late (outside the catch-up window).';
comment on column pillars.ticks.missed is 'Earlier due moments that this one stands for; counted to 1000 for a crontab.';

-- Old ticks are pruned by age.
create index ticks_created_at on pillars.ticks (created_at);

create table pillars.counts (
    part text collate "C" primary key,
    figures jsonb not null,
    counted_at timestamptz not null default pillars.now(),
    took interval not null
);

comment on table pillars.counts is 'What sweeps have counted where a count takes long: the unfinished jobs, and each day of the history that is over.';
comment on column pillars.counts.part is 'jobs, or the table of a day.';
comment on column pillars.counts.figures is 'Of jobs: an array of queue, name, state, jobs, oldest_run_at. Of a day: how many by state.';
