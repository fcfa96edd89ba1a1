-- The migrations that this database has, in order.
select ledger.track, ledger.version, ledger.name, ledger.checksum
from pillars.migrations ledger
order by ledger.track desc, ledger.version
