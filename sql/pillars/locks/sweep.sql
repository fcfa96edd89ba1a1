-- Rescue, expire, park what nobody knows, make the days ahead, forget who is gone; see pillars.sweep. All null where another is at it.
select done.swept, done.rescued, done.failed, done.cancelled, done.expired, done.parked from pillars.sweep() done
