-- Whether roles were made for this database: its schema is pillars_owner's.
select exists (
    select from pg_namespace place join pg_roles owner on owner.oid = place.nspowner
    where place.nspname = 'pillars' and owner.rolname = 'pillars_owner') as yes
