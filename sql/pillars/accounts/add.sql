-- Add an account; no row where there is one of this name. $1 name, $2 scope, $3 the password's hash.
insert into pillars.accounts (name, scope, password_hash)
values ($1::text, $2::text, $3::text)
on conflict (name) do nothing
returning name
