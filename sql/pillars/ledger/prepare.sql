-- What every migration stands on: the schema and its ledger. Repeatable; the caller holds the migration lock.
create schema if not exists pillars;
create table if not exists pillars.migrations (
    track text not null,
    version integer not null,
    name text not null,
    checksum text not null,
    applied_at timestamptz not null default now(),
    primary key (track, version)
);
comment on table pillars.migrations is 'Which migration files this database has: of the runtime (track pillars) and of the app (track app).';
