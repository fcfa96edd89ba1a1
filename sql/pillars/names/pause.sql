-- Let no worker claim jobs of a name, in any queue; see pillars.pause_name. $1 name, $2 who asks.
select pillars.pause_name($1::text, $2::text) as answer
