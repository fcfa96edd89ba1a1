-- The statement that makes a database as a copy of another: file by file, which for one of a few megabytes is the quicker way, and
-- before Postgres 15 the only one. Postgres runs it outside a transaction alone. Locks nothing. $1 name, $2 template.
select format('create database %I template %I', $1::text, $2::text)
    || case when current_setting('server_version_num')::integer >= 150000 then ' strategy file_copy' else '' end as statement
