-- Remove an account and end its sessions; no row where there is none of this name. $1 name.
with removed as (
    delete from pillars.accounts account where account.name = $1::text
    returning account.name
), ended as (
    delete from pillars.sessions session using removed where session.account = removed.name
)
select removed.name from removed
