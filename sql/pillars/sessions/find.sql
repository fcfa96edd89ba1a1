-- A session that has not ended, and its account as that is now. Rides the primary key. $1 digest of the id.
select session.account, coalesce(account.scope, session.scope) as scope, session.seal, account.password_hash
from pillars.sessions session
left join pillars.accounts account on account.name = session.account
where session.digest = $1::bytea and session.expires_at > pillars.now()
