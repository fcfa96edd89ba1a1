-- What the schedules in crons/ leave behind.

create table public.pulses (
    beat_at timestamptz primary key default pillars.now()
);

comment on table public.pulses is 'One row every 30 s while cron and a worker run; the page shows the age of the last.';

create table public.digests (
    digest_id bigint generated always as identity primary key,
    made_at timestamptz not null default pillars.now(),
    uploads bigint not null,
    rows bigint not null,
    bytes bigint not null,
    failures bigint not null,
    constraint digests_counts check (uploads >= 0 and rows >= 0 and bytes >= 0 and failures >= 0)
);

create index digests_made_at on public.digests (made_at);

comment on table public.digests is 'The last 24 hours in numbers, made every night.';
comment on column public.digests.failures is 'Files refused and jobs failed.';
