-- A migration that waits for a lock makes everybody behind it wait too: give up soon, until this transaction ends. $1 how long to wait.
select set_config('lock_timeout', $1::text, true) <> '' as yes
