-- Let names mean what the role's, the database's or the URL's search_path says, for code that is not ours. Locks nothing.
set search_path to default
