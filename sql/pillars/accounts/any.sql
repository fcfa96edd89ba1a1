-- Whether there is an account at all.
select exists (select from pillars.accounts) as yes
