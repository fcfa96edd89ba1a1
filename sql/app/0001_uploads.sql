-- Uploaded files, their rows, and what was found in them.

create table public.uploads (
    upload_id uuid primary key default gen_random_uuid(),
    name text not null,
    state text not null default 'receiving',
    reason text,
    created_at timestamptz not null default pillars.now(),
    touched_at timestamptz not null default pillars.now(),
    finished_at timestamptz,
    job_id uuid,
    bytes bigint not null default 0,
    parsed_bytes bigint not null default 0,
    row_count bigint not null default 0,
    ragged_rows bigint not null default 0,
    cut_lines bigint not null default 0,
    kind text,
    encoding text,
    delimiter text,
    columns text[],
    header boolean not null default false,
    constraint uploads_name check (char_length(name) between 1 and 200),
    constraint uploads_state check (
        state in ('receiving', 'received', 'parsing', 'describing', 'done', 'refused')),
    constraint uploads_kind check (kind in ('csv', 'log', 'text')),
    constraint uploads_refused_for_a_reason check ((state = 'refused') = (reason is not null)),
    constraint uploads_finished check ((state in ('done', 'refused')) = (finished_at is not null)),
    constraint uploads_parsed_what_came check (parsed_bytes between 0 and bytes),
    constraint uploads_counts check (row_count >= 0 and ragged_rows >= 0 and cut_lines >= 0)
);

create index uploads_created_at on public.uploads (created_at);

comment on table public.uploads is 'One row a file: how far it is, and what it is.';
comment on column public.uploads.state is 'receiving, received, parsing, describing, then done or refused (with a reason).';
comment on column public.uploads.job_id is 'The job of the current stage, up to the last stretch of parsing.';
comment on column public.uploads.parsed_bytes is 'Everything before this byte is in upload_rows.';
comment on column public.uploads.ragged_rows is 'CSV rows with more or fewer cells than the first.';
comment on column public.uploads.cut_lines is 'Lines that were too long and lost their end.';
comment on column public.uploads.header is 'Whether the first row of a CSV file names its columns.';
comment on column public.uploads.columns is 'Names of a CSV file''s columns, from its header or made up.';

create table public.upload_chunks (
    upload_id uuid not null references public.uploads on delete cascade,
    number integer not null,
    content bytea not null,
    primary key (upload_id, number),
    constraint upload_chunks_number check (number >= 0),
    constraint upload_chunks_size check (octet_length(content) between 1 and 1048576)
);

-- Many files are compressed or hardly compressible; trying costs more than it saves.
alter table public.upload_chunks alter column content set storage external;

comment on table public.upload_chunks is 'The bytes of a file: chunks of exactly 1 MiB, the last one shorter. Web and worker need no disk in common.';

create table public.upload_rows (
    upload_id uuid not null references public.uploads on delete cascade,
    number bigint not null,
    cells text[] not null,
    level text,
    logged_at timestamptz,
    primary key (upload_id, number),
    constraint upload_rows_number check (number >= 1)
);

comment on table public.upload_rows is 'The rows of a CSV file, or the lines of a log or text, numbered from 1.';
comment on column public.upload_rows.cells is 'The cells of a CSV row; of a log or text one cell, the line.';
comment on column public.upload_rows.level is 'Of a log line: ERROR, WARNING, INFO and so on, where it names one.';
comment on column public.upload_rows.logged_at is 'Of a log line: its time, taken for UTC where it names no offset.';

create table public.upload_findings (
    upload_id uuid not null references public.uploads on delete cascade,
    position integer not null,
    topic text not null,
    label text not null,
    job_id uuid,
    content jsonb,
    primary key (upload_id, position),
    constraint upload_findings_topic check (topic in ('column', 'levels', 'hours', 'words', 'lines'))
);

comment on table public.upload_findings is 'What the analysis of a file consists of. Each row is filled by a job of its own; the last one ends the upload.';
comment on column public.upload_findings.position is 'The order on the page; of a CSV column its number, from 1.';
comment on column public.upload_findings.job_id is 'Null until the job is enqueued: a few run at a time.';
comment on column public.upload_findings.content is 'Null until the job has run.';
