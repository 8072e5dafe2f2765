-- Removes what triggers.postgres.sql made. Does nothing where nothing is there. Run it in one transaction (psql -1), with the tables'
-- schema first in search_path, and before the outbox is removed: the triggers call it.

-- The triggers go with their functions.
DROP FUNCTION IF EXISTS pitchey_pitches_changed() CASCADE;
DROP FUNCTION IF EXISTS pitchey_users_changed() CASCADE;
DROP FUNCTION IF EXISTS pitchey_characters_changed() CASCADE;
DROP FUNCTION IF EXISTS pitchey_documents_changed() CASCADE;
DROP FUNCTION IF EXISTS pitchey_ndas_changed() CASCADE;
DROP FUNCTION IF EXISTS pitchey_content_changed() CASCADE;

DROP FUNCTION IF EXISTS pitchey_appeared_tags(bigint, bigint, text, text, text);
DROP FUNCTION IF EXISTS pitchey_genre_tag(text);
DROP FUNCTION IF EXISTS pitchey_slug_tag(text, text);
