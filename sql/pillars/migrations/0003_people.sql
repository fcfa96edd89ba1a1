-- Who may use the dashboard, and what people have done.
--
-- No secret can be read from these tables: of a password they hold scrypt's hash, of a session the hash of its id.

create table pillars.accounts (
    name text collate "C" primary key,
    scope text not null,
    password_hash text not null,
    created_at timestamptz not null default pillars.now(),
    password_at timestamptz not null default pillars.now(),
    constraint accounts_name check (name ~ '^[a-z0-9][a-z0-9._@+-]{0,99}$' and name not in ('loopback', 'nobody')),
    constraint accounts_scope check (scope in ('view', 'operate'))
);

comment on table pillars.accounts is 'People who may log in to the dashboard.';
comment on column pillars.accounts.password_hash is 'scrypt, its parameters, the salt and the hash, as pillars.service.passwords writes them.';
comment on column pillars.accounts.password_at is 'When the password was set.';

create table pillars.sessions (
    digest bytea primary key,
    account text collate "C",
    scope text not null,
    seal bytea not null,
    created_at timestamptz not null default pillars.now(),
    expires_at timestamptz not null,
    constraint sessions_scope check (scope in ('view', 'operate'))
);

comment on table pillars.sessions is 'Logins to the dashboard that have not ended.';
comment on column pillars.sessions.digest is 'SHA-256 of the session''s id, which only the browser has.';
comment on column pillars.sessions.account is 'Whose it is; null where it was opened by PILLARS_TOKEN (scope operate) or PILLARS_VIEW_TOKEN (view).';
comment on column pillars.sessions.scope is 'At the login; an account''s own row decides.';
comment on column pillars.sessions.seal is 'HMAC of the id under the secret that opened it: a password or token that changed opens it no more.';

create index sessions_account on pillars.sessions (account) where account is not null;
create index sessions_expires_at on pillars.sessions (expires_at);

create table pillars.login_attempts (
    subject text collate "C" primary key,
    since timestamptz not null default pillars.now(),
    attempts integer not null default 1
) with (fillfactor = 50);

create index login_attempts_since on pillars.login_attempts (since);

comment on table pillars.login_attempts is 'How often something was tried since a moment: logins by name (hashed: people mistype) and by address, failures that fit no account.';

create table pillars.audit (
    audit_id bigint generated always as identity primary key,
    at timestamptz not null default pillars.now(),
    actor text not null,
    action text not null,
    target text,
    address text,
    details jsonb not null default '{}',
    constraint audit_details check (jsonb_typeof(details) = 'object')
);

comment on table pillars.audit is 'What people and their programs changed: written, never changed, removed only by age.';
comment on column pillars.audit.actor is 'An account; PILLARS_TOKEN or PILLARS_VIEW_TOKEN; loopback, where no token is set; cli: and a user of the machine; job: and a job''s name; nobody, of a login that failed.';
comment on column pillars.audit.target is 'The job''s id, or the name of the queue, schedule or account; null of several.';
comment on column pillars.audit.address is 'Where the request came from; null of a command.';

-- Remove what is over: sessions, counted attempts, and rows of the audit trail that are older than they are to be kept. At most so many at
-- a time; returns how many went. The oldest rows of the trail are the first by their ids; none goes that is younger than 30 days, whoever
-- asks. With the owner's rights: a role that works may add to the trail, and neither change nor remove what stands there.
create function pillars.prune_people(keep_audit interval, most integer default 10000) returns integer
language sql security definer set search_path = pg_catalog, pg_temp as $$
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

-- By default everybody may call a function.
revoke all on function pillars.prune_people(interval, integer) from public;
