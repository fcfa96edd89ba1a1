-- What the code says of a job name, for an enqueue that does not come from its function. No row: no process has defined the name.
-- Rides the primary key of definitions. $1 name.
select definition.queue, definition.priority, definition.max_attempts, definition.tags
from pillars.definitions definition
where definition.name = $1::text
