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
