-- Indexes that a statement names and that no query uses, since their build did not end. $1 the statement.
select format('%I.%I', schema.nspname, found.relname)::text as name
from pg_index index
join pg_class found on found.oid = index.indexrelid
join pg_namespace schema on schema.oid = found.relnamespace
where found.relkind = 'i' and not index.indisvalid
  and $1::text ~ ('\m' || regexp_replace(found.relname, '\W', '.', 'g') || '\M')
order by name
