-- Make the history partitions of today and the days ahead; see pillars.make_days.
select pillars.make_days() as made
