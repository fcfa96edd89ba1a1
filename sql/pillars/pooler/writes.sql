-- Whether the server that answers takes writes: it is no standby, and nothing has made it read-only. Locks nothing.
select current_setting('transaction_read_only') = 'off' as yes
