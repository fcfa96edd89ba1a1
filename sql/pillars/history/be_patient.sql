-- Let the statements of this session wait so long for a lock. $1 how long, as lock_timeout has it.
select set_config('lock_timeout', $1::text, false) is not null as yes
