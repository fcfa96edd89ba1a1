-- The clock of record.
select pillars.now() as now
