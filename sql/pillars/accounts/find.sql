-- An account by its name, with the hash of its password. Rides the primary key. $1 name.
select account.name, account.scope, account.password_hash
from pillars.accounts account
where account.name = $1::text
