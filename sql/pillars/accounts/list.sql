-- Every account and how many logins of it have not ended, by name.
select account.name, account.scope, account.created_at, account.password_at,
       (select count(*)::integer from pillars.sessions session
        where session.account = account.name and session.expires_at > pillars.now()
          and session.created_at >= account.password_at) as sessions
from pillars.accounts account
order by account.name
