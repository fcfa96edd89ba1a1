-- The statement that lets a template be dropped. Locks nothing. $1 name.
select format('alter database %I with is_template false', $1::text) as statement
