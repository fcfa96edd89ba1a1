-- Give a database the clock that tests move: from here on pillars.now() runs as far ahead of the server's as pillars_test.clock says.
create schema pillars_test;
create table pillars_test.clock (shift interval not null);
insert into pillars_test.clock values ('0');
create or replace function pillars.now() returns timestamptz
language sql stable
return pg_catalog.now() + (select clock.shift from pillars_test.clock clock);
