-- End a session and write the logout down; nothing where it has ended. $1 digest of the id, $2 actor, $3 address or null.
with ended as (
    delete from pillars.sessions session where session.digest = $1::bytea
    returning session.digest
)
insert into pillars.audit (actor, action, address)
select $2::text, 'logout', $3::text from ended
