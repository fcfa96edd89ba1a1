-- Count an attempt for each of its subjects, a minute from the first on. In the order of their names, so that no two wait for each other.
-- $1 subjects.
insert into pillars.login_attempts as known (subject)
select given.subject from unnest($1::text[]) given (subject) order by given.subject
on conflict (subject) do update
set since = case when known.since <= pillars.now() - interval '1 minute' then pillars.now() else known.since end,
    attempts = case when known.since <= pillars.now() - interval '1 minute' then 1 else least(known.attempts + 1, 1000000) end
returning known.subject, known.attempts, known.since + interval '1 minute' - pillars.now() as ends_in
