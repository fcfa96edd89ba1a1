-- Send a notification to a channel of the doctor's own. $1 channel.
select pg_notify($1::text, '') is null as yes
