-- Every array type of the runtime's parameters, so that a driver which asks the server about a type it meets asks now. Reads nothing.
-- $1 to $8 are arrays.
select
where num_nonnulls(
    $1::boolean[], $2::integer[], $3::bigint[], $4::interval[], $5::jsonb[], $6::text[], $7::timestamptz[], $8::uuid[]) = 0
