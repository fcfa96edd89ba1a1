-- Remove logins that are over and what was written down long ago; see pillars.prune_people. $1 how long to keep that.
select pillars.prune_people($1::interval) as made
