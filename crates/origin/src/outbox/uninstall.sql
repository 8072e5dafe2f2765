-- Removes what install.sql made, and nothing else. Purges that are still open are lost: let the consumer finish first.
-- Does nothing where nothing is installed. Run it in one transaction (psql -1).

-- A trigger that is left behind would call what is gone, and every write to its table would fail.
DO $$
DECLARE
    callers text;
BEGIN
    SELECT string_agg(format('%I ON %s', t.tgname, t.tgrelid::regclass), ', ' ORDER BY t.tgrelid::regclass::text, t.tgname) INTO callers
    FROM pg_catalog.pg_trigger AS t
    JOIN pg_catalog.pg_proc AS p ON p.oid = t.tgfoid
    WHERE strpos(p.prosrc, 'edge_cache.') > 0;
    IF callers IS NOT NULL THEN
        RAISE EXCEPTION 'triggers still call edge_cache, and writes to their tables would fail without it'
            USING ERRCODE = 'dependent_objects_still_exist', DETAIL = callers, HINT = 'Drop these triggers first.';
    END IF;
END
$$;

DROP FUNCTION IF EXISTS edge_cache.invalidate(text[]);
DROP FUNCTION IF EXISTS edge_cache.invalidate_hard(text[]);
DROP FUNCTION IF EXISTS edge_cache.purge(text[], text, text);
DROP SEQUENCE IF EXISTS edge_cache.outbox_notified;
DROP TABLE IF EXISTS edge_cache.outbox;
DROP TABLE IF EXISTS edge_cache.state;

DO $$
BEGIN
    DROP SCHEMA IF EXISTS edge_cache;
EXCEPTION
    WHEN dependent_objects_still_exist THEN
        RAISE NOTICE 'the schema edge_cache stays: it holds objects that install.sql did not make';
END
$$;
