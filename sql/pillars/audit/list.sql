-- What was done, newest first. Rides the primary key. $1 only what is older than this id, or null, $2 how many at most.
select entry.audit_id, entry.at, entry.actor, entry.action, entry.target, entry.address, entry.details
from pillars.audit entry
where entry.audit_id < coalesce($1::bigint, 9223372036854775807)
order by entry.audit_id desc
limit $2::integer
