-- Let the test clock show a time, and run on from there; no row where that would turn it back. Locks its one row. $1 time.
update pillars_test.clock clock set shift = $1::timestamptz - pg_catalog.now()
where $1::timestamptz >= pg_catalog.now() + clock.shift
returning pg_catalog.now() + clock.shift as now
