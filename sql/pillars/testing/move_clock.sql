-- Let the test clock run ahead by so much more; tells the time it shows. Locks its one row. $1 by.
update pillars_test.clock clock set shift = clock.shift + $1::interval
returning pg_catalog.now() + clock.shift as now
