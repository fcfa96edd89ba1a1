-- Every name that code defines, and whether it is paused; counts nothing. Reads definitions, a row a name.
select definition.name, definition.paused_at is not null as paused from pillars.definitions definition order by definition.name
