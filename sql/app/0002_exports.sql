-- XML exports of the rows of an upload.

create table public.exports (
    export_id uuid primary key default gen_random_uuid(),
    upload_id uuid not null references public.uploads on delete cascade,
    job_id uuid,
    created_at timestamptz not null default pillars.now(),
    finished_at timestamptz,
    row_count bigint not null default 0,
    bytes bigint not null default 0,
    chunks integer not null default 0,
    constraint exports_one_an_upload unique (upload_id),
    constraint exports_counts check (row_count >= 0 and bytes >= 0 and chunks >= 0)
);

comment on table public.exports is 'One XML export an upload: its rows never change, so one is enough. Ready when finished_at is set; until then row_count, bytes and chunks say how far it is.';

create table public.export_chunks (
    export_id uuid not null references public.exports on delete cascade,
    number integer not null,
    content bytea not null,
    primary key (export_id, number),
    constraint export_chunks_number check (number >= 0)
);

comment on table public.export_chunks is 'The bytes of an export in order.';
