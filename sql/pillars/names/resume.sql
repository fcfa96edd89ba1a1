-- Let workers claim jobs of a name again, and wake them; see pillars.resume_name. $1 name.
select pillars.resume_name($1::text) as answer
