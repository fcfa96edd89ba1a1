-- Write a login down that failed. Of those that fit no account only so many a minute, or a flood of guesses would fill the disk.
-- $1 the account or null, $2 address or null, $3 how many a minute.
with counted as (
    insert into pillars.login_attempts as known (subject)
    select 'nobody' where $1::text is null
    on conflict (subject) do update
    set since = case when known.since <= pillars.now() - interval '1 minute' then pillars.now() else known.since end,
        attempts = case when known.since <= pillars.now() - interval '1 minute' then 1 else least(known.attempts + 1, 1000000) end
    returning known.attempts
)
insert into pillars.audit (actor, action, target, address)
select 'nobody', 'login.failed', $1::text, $2::text
where not exists (select from counted where counted.attempts > $3::integer)
