-- Tells the cache which answers a change of Pitchey's rows makes stale, whoever makes it: our handlers, a migration, a hand in psql.
-- Needs the outbox of edge_cache. May be run again; each run waits for the writes that are under way, and others wait for it meanwhile.
-- Run it in one transaction (psql -1), with the tables' schema first in search_path.
--
-- The tags are those that the write handlers name. What fewer people may see is purged hard, everything else softly. A purge is always
-- by the tag of the thing that changed, because every answer has the tags of all that it shows.
--
-- What writes nothing, and why:
--   * view_count, like_count, comment_count, nda_count, share_count and updated_at of a pitch, and the tables pitch_views and pitch_likes:
--     most reads of a detail count a view, so a purge for each would leave no hits; counters may lag by their answers' lifetime;
--   * saved_pitches, follows, sessions: shown only to their own user, in answers that are never stored; numbers of followers may lag;
--   * a new pitch that is not public: it comes into no list, and "not found" stays true for all but its owner;
--   * ndas, except where an access ends: see pitchey_ndas_changed;
--   * pitch_search: search may lag behind an edit, but shows the pitches' tags, so nothing stays that must go;
--   * investments, and numbers over whole tables: aggregates may lag;
--   * email, last_login_at and updated_at of a user: no answer shows them.
--
-- Statement triggers, so that an UPDATE of 10 000 rows writes a few hundred rows with distinct tags, and not one for each row and tag.
-- Every trigger function is SECURITY DEFINER: a role that may write a table needs no right on the others that a function looks into.

DO $$
DECLARE
    of_tables name;
BEGIN
    -- The lock of the migrations: two processes that start together install one after the other.
    PERFORM pg_advisory_xact_lock(7482439);
    IF to_regprocedure('edge_cache.purge(text[], text, text)') IS NULL THEN
        RAISE EXCEPTION 'the triggers call edge_cache.purge, which is not there' USING HINT = 'Install the outbox first.';
    END IF;
    SELECT s.nspname INTO STRICT of_tables
    FROM pg_catalog.pg_namespace AS s JOIN pg_catalog.pg_class AS c ON c.relnamespace = s.oid
    WHERE c.oid = 'pitches'::regclass;
    IF current_schema() IS DISTINCT FROM of_tables THEN
        RAISE EXCEPTION 'the tables are in the schema %, but new functions would go to %', of_tables, current_schema()
            USING HINT = format('SET search_path = %I first.', of_tables);
    END IF;
END
$$;

-- A path with another text than this one is answered without looking into the database, and the answer has no tag.
CREATE OR REPLACE FUNCTION pitchey_slug_tag(prefix text, slug text)
RETURNS text
LANGUAGE sql
IMMUTABLE
PARALLEL SAFE
AS $$
    SELECT CASE WHEN slug COLLATE "C" ~ '^[a-z0-9-]{1,100}$' THEN prefix || slug END;
$$;

-- Of a genre as it is stored, folded. A header holds ASCII only, so a genre in other letters is named by its hash; a genre in ASCII that is
-- not folded is found by no question, so it has no tag.
CREATE OR REPLACE FUNCTION pitchey_genre_tag(genre text)
RETURNS text
LANGUAGE sql
IMMUTABLE
PARALLEL SAFE
AS $$
    SELECT CASE
        WHEN genre COLLATE "C" ~ '^[a-z0-9]{1,100}$' THEN 'genre-' || genre
        WHEN octet_length(convert_to(genre, 'UTF8')) > length(genre) THEN
            'genre-' || left(encode(sha256(convert_to(genre, 'UTF8')), 'hex'), 16)
    END;
$$;

-- What a pitch comes into when it becomes public: "not found" answers, the first pages of lists, its owner's profile.
CREATE OR REPLACE FUNCTION pitchey_appeared_tags(id bigint, owner bigint, slug text, genre text, format text)
RETURNS text[]
LANGUAGE sql
IMMUTABLE
PARALLEL SAFE
AS $$
    SELECT ARRAY[
        'pitch-' || id,
        pitchey_slug_tag('slug-', slug),
        'list-new',
        'list-trending',
        'list-public',
        'list-browse',
        pitchey_genre_tag(genre),
        'format-' || format,
        'creator-' || owner
    ];
$$;

CREATE OR REPLACE FUNCTION pitchey_pitches_changed()
RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
AS $$
DECLARE
    hard_tags text[];
    soft_tags text[];
BEGIN
    IF TG_OP = 'UPDATE' THEN
        WITH change AS (
            SELECT
                n.id, o.user_id AS old_owner, n.user_id AS owner, o.slug AS old_slug, n.slug, o.genre AS old_genre, n.genre,
                o.format AS old_format, n.format,
                o.status = 'published' AND o.visibility = 'public' AS was_public,
                n.status = 'published' AND n.visibility = 'public' AS is_public,
                (
                    -- Unpublishing, archiving, and publishing for investors only.
                    (
                        n.status <> o.status
                        AND (o.status = 'published' OR n.status = 'archived' OR (n.status = 'published' AND n.visibility <> 'public'))
                    )
                    OR (n.visibility <> o.visibility AND NOT (n.status = 'published' AND n.visibility = 'public'))
                    OR n.require_nda <> o.require_nda
                ) AS is_shrunk
            -- FULL, though every id has its partner: the plan is kept from the session's first call, which may have seen one row, and that
            -- of a plain join would then try all pairs of 10 000.
            FROM old_rows AS o FULL JOIN new_rows AS n ON n.id = o.id
            -- All columns but the counters, updated_at and title_key, which follows the title; a migration that adds a column adds it here.
            -- The long texts come last, for they are the costly ones to compare.
            WHERE (
                o.status, o.visibility, o.require_nda, o.seeking_investment, o.user_id, o.title, o.slug, o.genre, o.format,
                o.published_at, o.created_at, o.budget_bracket, o.estimated_budget, o.production_stage, o.tagline, o.poster_url,
                o.trailer_url, o.tags, o.target_audience, o.themes, o.logline, o.short_synopsis, o.long_synopsis,
                o.distribution_plan, o.contact_details, o.budget_breakdown, o.financial_projections
            ) IS DISTINCT FROM (
                n.status, n.visibility, n.require_nda, n.seeking_investment, n.user_id, n.title, n.slug, n.genre, n.format,
                n.published_at, n.created_at, n.budget_bracket, n.estimated_budget, n.production_stage, n.tagline, n.poster_url,
                n.trailer_url, n.tags, n.target_audience, n.themes, n.logline, n.short_synopsis, n.long_synopsis,
                n.distribution_plan, n.contact_details, n.budget_breakdown, n.financial_projections
            )
        ),
        purge AS (
            -- The pitch itself, and with it every list and detail that shows it. "Not found" by slug has the slug's tag only.
            SELECT 'pitch-' || c.id AS tag, c.is_shrunk AS is_hard FROM change AS c
            UNION ALL
            SELECT pitchey_slug_tag('slug-', c.slug), true FROM change AS c WHERE c.is_shrunk
            UNION ALL
            SELECT t.tag, false
            FROM change AS c, unnest(pitchey_appeared_tags(c.id, c.owner, c.slug, c.genre, c.format)) AS t (tag)
            WHERE c.is_public AND NOT c.was_public
            UNION ALL
            -- The slices that a public pitch leaves, and those that it comes into.
            SELECT t.tag, false
            FROM change AS c, unnest(ARRAY[pitchey_genre_tag(c.old_genre), pitchey_genre_tag(c.genre)]) AS t (tag)
            WHERE c.is_public AND c.was_public AND c.genre <> c.old_genre
            UNION ALL
            SELECT t.tag, false
            FROM change AS c, unnest(ARRAY['format-' || c.old_format, 'format-' || c.format]) AS t (tag)
            WHERE c.is_public AND c.was_public AND c.format <> c.old_format
            UNION ALL
            -- No handler does these two: the old path is gone, the new one was "not found"; both profiles change.
            SELECT pitchey_slug_tag('slug-', t.slug), t.is_hard
            FROM change AS c, LATERAL (VALUES (c.old_slug, true), (c.slug, false)) AS t (slug, is_hard)
            WHERE c.slug <> c.old_slug
            UNION ALL
            SELECT t.tag, false
            FROM change AS c, unnest(ARRAY['creator-' || c.old_owner, 'creator-' || c.owner]) AS t (tag)
            WHERE c.owner <> c.old_owner
        )
        -- The harder of two purges of one tag holds.
        SELECT array_agg(p.tag) FILTER (WHERE p.is_hard), array_agg(p.tag) FILTER (WHERE NOT p.is_hard) INTO hard_tags, soft_tags
        FROM (SELECT tag, bool_or(is_hard) AS is_hard FROM purge GROUP BY tag) AS p;
    ELSIF TG_OP = 'INSERT' THEN
        SELECT array_agg(t.tag) INTO soft_tags
        FROM new_rows AS n, unnest(pitchey_appeared_tags(n.id, n.user_id, n.slug, n.genre, n.format)) AS t (tag)
        WHERE n.status = 'published' AND n.visibility = 'public';
    ELSIF TG_OP = 'DELETE' THEN
        SELECT array_agg(t.tag) INTO hard_tags
        FROM old_rows AS o, unnest(ARRAY['pitch-' || o.id, pitchey_slug_tag('slug-', o.slug)]) AS t (tag);
    ELSE
        -- TRUNCATE, before the rows are gone. No tag covers all details, searches, profiles and later pages, so each pitch that they can
        -- show is named; a pitch that is not public was purged when it ceased to be.
        SELECT array_agg(t.tag) INTO hard_tags
        FROM pitches AS p, unnest(ARRAY['pitch-' || p.id, pitchey_slug_tag('slug-', p.slug)]) AS t (tag)
        WHERE p.status = 'published' AND p.visibility = 'public';
        hard_tags := hard_tags || ARRAY['list-trending', 'list-new', 'list-featured', 'list-public', 'list-browse'];
    END IF;
    IF hard_tags IS NOT NULL THEN
        PERFORM edge_cache.purge(hard_tags, 'hard', 'pitches: ' || lower(TG_OP));
    END IF;
    IF soft_tags IS NOT NULL THEN
        PERFORM edge_cache.purge(soft_tags, 'soft', 'pitches: ' || lower(TG_OP));
    END IF;
    RETURN NULL;
END
$$;

-- The texts and the picture of a user are part of his profile and of every list and detail with his pitches. Whether he is active is seen
-- in the profile only.
CREATE OR REPLACE FUNCTION pitchey_users_changed()
RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
AS $$
DECLARE
    -- Public pitches named one by one for a user, as in the handler; who has more makes the lists stale instead.
    pitches_named_max CONSTANT integer := 200;
    hard_tags text[];
    soft_tags text[];
BEGIN
    IF TG_OP = 'UPDATE' THEN
        WITH change AS (
            SELECT
                n.id, o.is_active AND NOT n.is_active AS is_gone,
                (
                    o.username, o.user_type, o.first_name, o.last_name, o.bio, o.location, o.company_name, o.company_verified, o.avatar_url
                ) IS DISTINCT FROM (
                    n.username, n.user_type, n.first_name, n.last_name, n.bio, n.location, n.company_name, n.company_verified, n.avatar_url
                ) AS is_edited
            -- FULL: see pitchey_pitches_changed.
            FROM old_rows AS o FULL JOIN new_rows AS n ON n.id = o.id
            WHERE (
                o.is_active, o.username, o.user_type, o.first_name, o.last_name, o.bio, o.location, o.company_name, o.company_verified,
                o.avatar_url, o.created_at
            ) IS DISTINCT FROM (
                n.is_active, n.username, n.user_type, n.first_name, n.last_name, n.bio, n.location, n.company_name, n.company_verified,
                n.avatar_url, n.created_at
            )
        ),
        named AS (
            SELECT a.ids, cardinality(a.ids) > pitches_named_max AS is_many
            FROM change AS c
            CROSS JOIN LATERAL (
                SELECT array_agg(f.id) AS ids
                FROM (
                    SELECT p.id FROM pitches AS p
                    WHERE p.user_id = c.id AND p.status = 'published' AND p.visibility = 'public'
                    LIMIT pitches_named_max + 1
                ) AS f
            ) AS a
            WHERE c.is_edited
        ),
        purge AS (
            SELECT 'creator-' || c.id AS tag, c.is_gone AS is_hard FROM change AS c
            UNION ALL
            SELECT 'pitch-' || t.id, false FROM named AS m, unnest(m.ids) AS t (id) WHERE NOT m.is_many
            UNION ALL
            SELECT t.tag, false
            FROM unnest(ARRAY['list-trending', 'list-new', 'list-featured', 'list-public', 'list-browse']) AS t (tag)
            WHERE EXISTS (SELECT FROM named AS m WHERE m.is_many)
        )
        SELECT array_agg(p.tag) FILTER (WHERE p.is_hard), array_agg(p.tag) FILTER (WHERE NOT p.is_hard) INTO hard_tags, soft_tags
        FROM purge AS p;
    ELSIF TG_OP = 'INSERT' THEN
        -- "Not found" may be stored for the id that comes next.
        SELECT array_agg('creator-' || n.id) INTO soft_tags FROM new_rows AS n WHERE n.is_active;
    ELSIF TG_OP = 'DELETE' THEN
        -- The pitches go with their owner and tell their own tags.
        SELECT array_agg('creator-' || o.id) INTO hard_tags FROM old_rows AS o;
    ELSE
        -- TRUNCATE, before the rows are gone. It takes the pitches with it, and their trigger tells their tags.
        SELECT array_agg('creator-' || u.id) INTO hard_tags FROM users AS u;
    END IF;
    IF hard_tags IS NOT NULL THEN
        PERFORM edge_cache.purge(hard_tags, 'hard', 'users: ' || lower(TG_OP));
    END IF;
    IF soft_tags IS NOT NULL THEN
        PERFORM edge_cache.purge(soft_tags, 'soft', 'users: ' || lower(TG_OP));
    END IF;
    RETURN NULL;
END
$$;

-- Characters are shown in the detail of their pitch and nowhere else. All columns are shown or give the order, so any change counts. A
-- pitch that is deleted takes them with it and has told its tags already: pitches that are gone are left out.
CREATE OR REPLACE FUNCTION pitchey_characters_changed()
RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
AS $$
DECLARE
    pitch_ids bigint[];
    soft_tags text[];
BEGIN
    IF TG_OP = 'UPDATE' THEN
        SELECT array_agg(t.pitch_id) INTO pitch_ids
        -- FULL: see pitchey_pitches_changed.
        FROM old_rows AS o FULL JOIN new_rows AS n ON n.id = o.id
        CROSS JOIN LATERAL (VALUES (o.pitch_id), (n.pitch_id)) AS t (pitch_id)
        WHERE (o.pitch_id, o.display_order, o.name, o.role, o.description)
            IS DISTINCT FROM (n.pitch_id, n.display_order, n.name, n.role, n.description);
    ELSIF TG_OP = 'INSERT' THEN
        SELECT array_agg(n.pitch_id) INTO pitch_ids FROM new_rows AS n;
    ELSIF TG_OP = 'DELETE' THEN
        SELECT array_agg(o.pitch_id) INTO pitch_ids FROM old_rows AS o;
    ELSE
        SELECT array_agg(k.pitch_id) INTO pitch_ids FROM pitch_characters AS k;
    END IF;
    IF pitch_ids IS NOT NULL THEN
        SELECT array_agg('pitch-' || p.id) INTO soft_tags FROM pitches AS p WHERE p.id = ANY (pitch_ids);
        PERFORM edge_cache.purge(soft_tags, 'soft', 'pitch_characters: ' || lower(TG_OP));
    END IF;
    RETURN NULL;
END
$$;

-- The detail of a pitch shows its open documents; the others are shown only in answers that are never stored, and write nothing. A document
-- that ceases to be open, or to exist, is purged hard, and so is one that moves to another pitch.
CREATE OR REPLACE FUNCTION pitchey_documents_changed()
RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
AS $$
DECLARE
    hard_ids bigint[];
    soft_ids bigint[];
    hard_tags text[];
    soft_tags text[];
BEGIN
    IF TG_OP = 'UPDATE' THEN
        WITH change AS (
            SELECT
                o.pitch_id AS old_pitch, n.pitch_id AS pitch,
                o.is_public AND NOT o.requires_nda AS was_open,
                n.is_public AND NOT n.requires_nda AS is_open
            -- FULL: see pitchey_pitches_changed.
            FROM old_rows AS o FULL JOIN new_rows AS n ON n.id = o.id
            WHERE (o.pitch_id, o.file_name, o.file_url, o.document_type, o.is_public, o.requires_nda)
                IS DISTINCT FROM (n.pitch_id, n.file_name, n.file_url, n.document_type, n.is_public, n.requires_nda)
        )
        SELECT
            array_agg(c.old_pitch) FILTER (WHERE c.was_open AND (NOT c.is_open OR c.old_pitch <> c.pitch)),
            array_agg(c.pitch) FILTER (WHERE c.is_open)
        INTO hard_ids, soft_ids
        FROM change AS c;
    ELSIF TG_OP = 'INSERT' THEN
        SELECT array_agg(n.pitch_id) INTO soft_ids FROM new_rows AS n WHERE n.is_public AND NOT n.requires_nda;
    ELSIF TG_OP = 'DELETE' THEN
        SELECT array_agg(o.pitch_id) INTO hard_ids FROM old_rows AS o WHERE o.is_public AND NOT o.requires_nda;
    ELSE
        SELECT array_agg(d.pitch_id) INTO hard_ids FROM pitch_documents AS d WHERE d.is_public AND NOT d.requires_nda;
    END IF;
    IF hard_ids IS NOT NULL THEN
        -- As for characters, a pitch that is gone has told its tags already.
        SELECT array_agg('pitch-' || p.id) INTO hard_tags FROM pitches AS p WHERE p.id = ANY (hard_ids);
        PERFORM edge_cache.purge(hard_tags, 'hard', 'pitch_documents: ' || lower(TG_OP));
    END IF;
    IF soft_ids IS NOT NULL THEN
        SELECT array_agg('pitch-' || t.id) INTO soft_tags FROM unnest(soft_ids) AS t (id) WHERE t.id <> ALL (coalesce(hard_ids, '{}'));
        PERFORM edge_cache.purge(soft_tags, 'soft', 'pitch_documents: ' || lower(TG_OP));
    END IF;
    RETURN NULL;
END
$$;

-- What an agreement opens is shown only in answers that are never stored, so a request, a signature or an approval makes nothing stale. The
-- end of an access purges all the same, and hard, to be sure, as the handler does.
CREATE OR REPLACE FUNCTION pitchey_ndas_changed()
RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
AS $$
DECLARE
    pitch_ids bigint[];
    hard_tags text[];
BEGIN
    IF TG_OP = 'UPDATE' THEN
        SELECT array_agg(o.pitch_id) INTO pitch_ids
        -- FULL: see pitchey_pitches_changed.
        FROM old_rows AS o FULL JOIN new_rows AS n ON n.id = o.id
        WHERE (n.status = 'revoked' AND o.status <> 'revoked')
            OR (
                o.status = 'signed' AND o.access_granted
                AND (n.status <> 'signed' OR NOT n.access_granted OR n.pitch_id <> o.pitch_id OR n.signer_id <> o.signer_id)
            );
    ELSE
        SELECT array_agg(o.pitch_id) INTO pitch_ids FROM old_rows AS o WHERE o.status = 'signed' AND o.access_granted;
    END IF;
    IF pitch_ids IS NOT NULL THEN
        -- As for characters, a pitch that is gone has told its tags already.
        SELECT array_agg('pitch-' || p.id) INTO hard_tags FROM pitches AS p WHERE p.id = ANY (pitch_ids);
        PERFORM edge_cache.purge(hard_tags, 'hard', 'ndas: ' || lower(TG_OP));
    END IF;
    RETURN NULL;
END
$$;

-- Pages, and "not found" answers to those that do not exist yet.
CREATE OR REPLACE FUNCTION pitchey_content_changed()
RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
AS $$
DECLARE
    hard_tags text[];
    soft_tags text[];
BEGIN
    IF TG_OP = 'UPDATE' THEN
        -- The page shows all columns. A key without its partner is an old or a new name.
        SELECT
            array_agg(pitchey_slug_tag('content-', o.key)) FILTER (WHERE n.key IS NULL),
            array_agg(pitchey_slug_tag('content-', n.key)) FILTER (WHERE n.key IS NOT NULL)
        INTO hard_tags, soft_tags
        FROM old_rows AS o FULL JOIN new_rows AS n ON n.key = o.key
        WHERE (o.key, o.updated_at, o.value) IS DISTINCT FROM (n.key, n.updated_at, n.value);
    ELSIF TG_OP = 'INSERT' THEN
        SELECT array_agg(pitchey_slug_tag('content-', n.key)) INTO soft_tags FROM new_rows AS n;
    ELSIF TG_OP = 'DELETE' THEN
        SELECT array_agg(pitchey_slug_tag('content-', o.key)) INTO hard_tags FROM old_rows AS o;
    ELSE
        SELECT array_agg(pitchey_slug_tag('content-', i.key)) INTO hard_tags FROM content_items AS i;
    END IF;
    IF hard_tags IS NOT NULL THEN
        PERFORM edge_cache.purge(hard_tags, 'hard', 'content_items: ' || lower(TG_OP));
    END IF;
    IF soft_tags IS NOT NULL THEN
        PERFORM edge_cache.purge(soft_tags, 'soft', 'content_items: ' || lower(TG_OP));
    END IF;
    RETURN NULL;
END
$$;

-- A fixed search_path for what is SECURITY DEFINER: the names above mean the tables of this schema and nobody's own. Not in the functions
-- themselves, because the schema is known only here.
DO $$
DECLARE
    of_function regprocedure;
BEGIN
    FOREACH of_function IN ARRAY ARRAY[
        'pitchey_pitches_changed()', 'pitchey_users_changed()', 'pitchey_characters_changed()', 'pitchey_documents_changed()',
        'pitchey_ndas_changed()', 'pitchey_content_changed()'
    ]::regprocedure[]
    LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = pg_catalog, %I, pg_temp', of_function, current_schema());
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', of_function);
    END LOOP;
END
$$;

-- One trigger for each event, because a trigger that sees the rows can have one only. TRUNCATE fires before, while there are rows to name.
CREATE OR REPLACE TRIGGER pitchey_pitches_inserted
    AFTER INSERT ON pitches REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION pitchey_pitches_changed();
CREATE OR REPLACE TRIGGER pitchey_pitches_updated
    AFTER UPDATE ON pitches REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION pitchey_pitches_changed();
CREATE OR REPLACE TRIGGER pitchey_pitches_deleted
    AFTER DELETE ON pitches REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION pitchey_pitches_changed();
CREATE OR REPLACE TRIGGER pitchey_pitches_truncated
    BEFORE TRUNCATE ON pitches
    FOR EACH STATEMENT EXECUTE FUNCTION pitchey_pitches_changed();

CREATE OR REPLACE TRIGGER pitchey_users_inserted
    AFTER INSERT ON users REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION pitchey_users_changed();
CREATE OR REPLACE TRIGGER pitchey_users_updated
    AFTER UPDATE ON users REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION pitchey_users_changed();
CREATE OR REPLACE TRIGGER pitchey_users_deleted
    AFTER DELETE ON users REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION pitchey_users_changed();
CREATE OR REPLACE TRIGGER pitchey_users_truncated
    BEFORE TRUNCATE ON users
    FOR EACH STATEMENT EXECUTE FUNCTION pitchey_users_changed();

CREATE OR REPLACE TRIGGER pitchey_characters_inserted
    AFTER INSERT ON pitch_characters REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION pitchey_characters_changed();
CREATE OR REPLACE TRIGGER pitchey_characters_updated
    AFTER UPDATE ON pitch_characters REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION pitchey_characters_changed();
CREATE OR REPLACE TRIGGER pitchey_characters_deleted
    AFTER DELETE ON pitch_characters REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION pitchey_characters_changed();
CREATE OR REPLACE TRIGGER pitchey_characters_truncated
    BEFORE TRUNCATE ON pitch_characters
    FOR EACH STATEMENT EXECUTE FUNCTION pitchey_characters_changed();

CREATE OR REPLACE TRIGGER pitchey_documents_inserted
    AFTER INSERT ON pitch_documents REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION pitchey_documents_changed();
CREATE OR REPLACE TRIGGER pitchey_documents_updated
    AFTER UPDATE ON pitch_documents REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION pitchey_documents_changed();
CREATE OR REPLACE TRIGGER pitchey_documents_deleted
    AFTER DELETE ON pitch_documents REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION pitchey_documents_changed();
CREATE OR REPLACE TRIGGER pitchey_documents_truncated
    BEFORE TRUNCATE ON pitch_documents
    FOR EACH STATEMENT EXECUTE FUNCTION pitchey_documents_changed();

CREATE OR REPLACE TRIGGER pitchey_ndas_updated
    AFTER UPDATE ON ndas REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION pitchey_ndas_changed();
CREATE OR REPLACE TRIGGER pitchey_ndas_deleted
    AFTER DELETE ON ndas REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION pitchey_ndas_changed();

CREATE OR REPLACE TRIGGER pitchey_content_inserted
    AFTER INSERT ON content_items REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION pitchey_content_changed();
CREATE OR REPLACE TRIGGER pitchey_content_updated
    AFTER UPDATE ON content_items REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION pitchey_content_changed();
CREATE OR REPLACE TRIGGER pitchey_content_deleted
    AFTER DELETE ON content_items REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION pitchey_content_changed();
CREATE OR REPLACE TRIGGER pitchey_content_truncated
    BEFORE TRUNCATE ON content_items
    FOR EACH STATEMENT EXECUTE FUNCTION pitchey_content_changed();
