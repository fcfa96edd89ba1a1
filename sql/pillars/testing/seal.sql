-- The statement that makes a database a template, to which nobody connects: Postgres copies none that is in use. Locks nothing. $1 name.
select format('alter database %I with is_template true allow_connections false', $1::text) as statement
