-- The statement that ends a database and whoever is connected to it. Postgres runs it outside a transaction alone. Locks nothing. $1 name.
select format('drop database if exists %I with (force)', $1::text) as statement
