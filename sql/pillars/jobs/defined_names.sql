-- Every job name that some process has defined. A few hundred rows at most.
select definition.name from pillars.definitions definition order by definition.name
