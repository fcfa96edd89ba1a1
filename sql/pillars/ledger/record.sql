-- Note a migration as applied; a repeatable one may have been noted by another process meanwhile.
-- $1 track, $2 version, $3 name, $4 checksum.
insert into pillars.migrations (track, version, name, checksum)
values ($1::text, $2::integer, $3::text, $4::text)
on conflict (track, version) do nothing
