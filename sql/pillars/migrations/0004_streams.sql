-- What running jobs say, and what is said to them.
--
-- Advisory lock key of the class 1885957228 ("pill"): 6 job events.

create table pillars.job_events (
    event_id bigint not null,
    job_id uuid not null,
    attempt integer not null,
    kind text collate "C" not null,
    body jsonb not null,
    created_at timestamptz not null default pillars.now(),
    constraint job_events_kind check (kind in ('progress', 'log', 'output', 'metadata'))
) partition by range (created_at);

comment on table pillars.job_events is 'What running jobs say, a partition a day.';
comment on column pillars.job_events.event_id is 'Drawn and committed by one writer at a time: who has read up to one has missed none before it. Holes are no gaps.';
comment on column pillars.job_events.kind is 'progress and metadata, of which the newest counts; log, of its logger and its output streams; output, what it emits.';

create sequence pillars.job_event_ids owned by pillars.job_events.event_id;

comment on sequence pillars.job_event_ids is 'Ids of job_events, drawn under advisory lock 6.';

create index job_events_event_id on pillars.job_events (event_id);
create index job_events_job_id on pillars.job_events (job_id, event_id);
create index job_events_newest on pillars.job_events (job_id, kind, event_id) where kind in ('progress', 'metadata');

create sequence pillars.job_message_ids;

comment on sequence pillars.job_message_ids is 'Ids of job_messages.';

create table pillars.job_messages (
    message_id bigint not null default nextval('pillars.job_message_ids'),
    job_id uuid not null,
    body jsonb not null,
    sent_by text,
    sent_at timestamptz not null default pillars.now()
) partition by range (sent_at);

alter sequence pillars.job_message_ids owned by pillars.job_messages.message_id;

comment on table pillars.job_messages is 'Messages to jobs that they have not taken yet, a partition a day.';
comment on column pillars.job_messages.sent_by is 'Who sent it, for people.';

create index job_messages_job_id on pillars.job_messages (job_id, message_id);

-- Say something to a job, running or not: its code finds it in its inbox. Its worker is told where it runs; where it does not, or is claimed just
-- now, the code looks when it first asks.
--
-- Takes no lock: a plain read says whether the job has ended, twice, as cancel does. So one that ends at the same moment may leave a message that nobody
-- takes, which goes with its day. The bound on untaken ones is one of size, not of count: senders at once may pass it by as many as they are.
create function pillars.send(job_id uuid, message jsonb, sent_by text default null) returns text
language plpgsql set search_path = pg_catalog, pg_temp as $$
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

comment on function pillars.send is 'Say something to a job: sent (its code finds it in its inbox), final (it has ended), full (1,000 wait already), unknown.';

revoke all on function pillars.send(uuid, jsonb, text) from public;
