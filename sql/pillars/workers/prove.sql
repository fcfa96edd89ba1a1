-- Send a process a proof through the pool; that its listener hears it shows that the two meet on one server. $1 worker, $2 proof.
select pg_notify(pillars.own_channel($1::uuid), $2::text) is null as yes
