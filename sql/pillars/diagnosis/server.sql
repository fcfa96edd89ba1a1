-- What the server says of itself, of this database and of this connection. Needs nothing of ours.
select current_setting('server_version') as version,
       current_setting('server_version_num')::integer as version_number,
       pg_is_in_recovery() as in_recovery,
       current_setting('transaction_read_only')::boolean as read_only,
       current_setting('fsync')::boolean as fsync,
       current_setting('full_page_writes')::boolean as full_page_writes,
       current_setting('synchronous_commit') as synchronous_commit,
       current_setting('autovacuum')::boolean and current_setting('track_counts')::boolean as autovacuum,
       current_setting('max_connections')::integer - current_setting('superuser_reserved_connections')::integer as connections_allowed,
       (select count(*) from pg_stat_activity activity where activity.backend_type = 'client backend') as connections_open,
       coalesce((select channel.ssl from pg_stat_ssl channel where channel.pid = pg_backend_pid()), false) as encrypted,
       pg_notification_queue_usage() as notifications_used,
       (select age(here.datfrozenxid) from pg_database here where here.datname = current_database()) as xid_age
