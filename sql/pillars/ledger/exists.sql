-- Whether this database has a ledger at all.
select to_regclass('pillars.migrations') is not null as yes
