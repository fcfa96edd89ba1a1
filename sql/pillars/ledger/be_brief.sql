-- A migration that waits for a lock makes everybody behind it wait too: give up after 3 s.
set local lock_timeout = '3s'
