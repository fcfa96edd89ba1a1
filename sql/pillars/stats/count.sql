-- Count what takes long, for all who look; see pillars.count_large. Returns what it counted.
select counted.part as name from pillars.count_large() counted (part)
