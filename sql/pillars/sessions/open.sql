-- Open a session, end the one that the browser had before, and write the login down.
-- $1 digest of the id, $2 account or null, $3 scope, $4 seal, $5 how long it lasts, $6 digest of the one before or null,
-- $7 actor, $8 address or null.
with ended as (
    delete from pillars.sessions session where session.digest = $6::bytea
), opened as (
    insert into pillars.sessions (digest, account, scope, seal, expires_at)
    values ($1::bytea, $2::text, $3::text, $4::bytea, pillars.now() + $5::interval)
)
insert into pillars.audit (actor, action, address)
values ($7::text, 'login', $8::text)
