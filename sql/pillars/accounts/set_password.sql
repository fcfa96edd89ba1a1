-- Give an account another password and end its sessions; no row where there is none of this name. A session that is opened by the old
-- password at this very moment is not seen here, and is none all the same: its seal is the old one's. $1 name, $2 the password's hash.
with changed as (
    update pillars.accounts account set password_hash = $2::text, password_at = pillars.now()
    where account.name = $1::text
    returning account.name
), ended as (
    delete from pillars.sessions session using changed where session.account = changed.name
)
select changed.name from changed
