-- Write down what somebody did. $1 actor, $2 action, $3 target or null, $4 address or null, $5 details as JSON.
insert into pillars.audit (actor, action, target, address, details)
values ($1::text, $2::text, $3::text, $4::text, $5::text::jsonb)
