-- The outbox: a write names the cache tags it makes stale in its own transaction, and a consumer purges them after the commit.
--
--     BEGIN;
--     UPDATE products SET price = 12 WHERE id = 7;
--     SELECT edge_cache.invalidate('product-7', 'list-products');
--     COMMIT;
--
-- Why a table: a purge sent before the commit lets the cache store the old row again, and one sent after it is lost if the writer dies in
-- between. A row of the same transaction is there if and only if the write is. Why done_at and not a cursor: ids are given before the
-- commit, so a row with a lower id can appear after a row with a higher one was read.
--
-- May be run again: it changes nothing then. Run it in one transaction (psql -1), as the role that is to own it.

-- Two processes that start together install one after the other. The number only has to be the same everywhere.
DO $$
BEGIN
    PERFORM pg_advisory_xact_lock(3343222431);
END
$$;

CREATE SCHEMA IF NOT EXISTS edge_cache;

CREATE TABLE IF NOT EXISTS edge_cache.outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('soft', 'hard')),
    tags text[] NOT NULL,
    actor text NOT NULL DEFAULT session_user,
    reason text NOT NULL DEFAULT '',
    writer text DEFAULT nullif(current_setting('edge_cache.writer', true), ''),
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    done_at timestamptz
)
-- Every row is inserted, updated once and deleted minutes later, while the consumer reads the open ones several times a second: vacuum by
-- number of dead rows, for a share of the table would come late after a burst.
WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

COMMENT ON TABLE edge_cache.outbox IS
    'Cache tags to purge, written in the transaction that makes them stale. A consumer purges the open rows and sets done_at.';
COMMENT ON COLUMN edge_cache.outbox.id IS
    'Not the order of commits: a lower id can appear later, so never remember "the last id seen".';
COMMENT ON COLUMN edge_cache.outbox.kind IS
    'soft: must be fetched anew, but may stand in when that fails. hard: never to be shown again, whatever happens.';
COMMENT ON COLUMN edge_cache.outbox.tags IS
    'At most 64, because one row is purged by one script and a long script would hold up every other client of the store.';
COMMENT ON COLUMN edge_cache.outbox.actor IS
    'The role that logged in, for whoever asks why something was purged. Not current_user: that is the owner of the functions.';
COMMENT ON COLUMN edge_cache.outbox.reason IS
    'Free text for the same question.';
COMMENT ON COLUMN edge_cache.outbox.writer IS
    'Set by SET LOCAL edge_cache.writer: a write handler that promised to purge this by itself, so as to answer only after it. '
    'The consumer takes such a row only after a time of grace, in case the handler died.';
COMMENT ON COLUMN edge_cache.outbox.created_at IS
    'The clock when the row was written, not when the transaction began: the difference shows purges that waited for a long one.';
COMMENT ON COLUMN edge_cache.outbox.done_at IS
    'When the tags were purged. The row stays for a while after that, so that a store that lost its state can be told again.';

-- For the consumer: it holds only what is open, so asking is cheap however many rows wait for their deletion.
CREATE INDEX IF NOT EXISTS outbox_open_idx ON edge_cache.outbox (id) WHERE done_at IS NULL;
-- For deletion by age, and for telling again what was done of late.
CREATE INDEX IF NOT EXISTS outbox_done_idx ON edge_cache.outbox (done_at) WHERE done_at IS NOT NULL;

CREATE TABLE IF NOT EXISTS edge_cache.state (name text PRIMARY KEY, value text NOT NULL);
COMMENT ON TABLE edge_cache.state IS
    'What the consumer has to remember whoever it is: under "incarnation", the store that the finished purges were told to.';

-- When the last wake-up was sent, in milliseconds since 1970. A sequence, because all sessions see its new value at once, and none waits
-- for another one's commit, as they would for the row of a table.
CREATE SEQUENCE IF NOT EXISTS edge_cache.outbox_notified MINVALUE 0 START WITH 0;
COMMENT ON SEQUENCE edge_cache.outbox_notified IS
    'Not a counter: the time of the last NOTIFY edge_cache_outbox, in milliseconds since 1970.';

CREATE OR REPLACE FUNCTION edge_cache.purge(tags text[], kind text, reason text DEFAULT '')
RETURNS void
LANGUAGE plpgsql
-- The callers have no rights on the table. With the fixed search_path nobody's own objects can stand in for those named below.
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    batch_max CONSTANT integer := 64;
    pause_ms CONSTANT bigint := 50;
    wrong record;
    now_ms bigint;
    notified_ms bigint;
BEGIN
    IF kind IS NULL OR kind NOT IN ('soft', 'hard') THEN
        RAISE EXCEPTION 'edge_cache.purge: kind is %, but must be ''soft'' or ''hard''', coalesce(quote_literal(kind), 'null')
            USING ERRCODE = 'invalid_parameter_value';
    END IF;

    -- What could not stand in a Cache-Tag header is the tag of nothing stored. Taking it would look like a purge and be none.
    SELECT u.tag, u.place INTO wrong
    FROM unnest(purge.tags) WITH ORDINALITY AS u (tag, place)
    WHERE u.tag COLLATE "C" !~ '^[!-~]{1,128}$' OR strpos(u.tag, ',') > 0
    ORDER BY u.place
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'edge_cache.purge: % is no tag', quote_literal(left(wrong.tag, 150))
            USING
                ERRCODE = 'invalid_parameter_value',
                DETAIL = format(
                    'It is element %s of the %s given, and it %s.',
                    wrong.place,
                    cardinality(purge.tags),
                    CASE
                        WHEN wrong.tag = '' THEN 'is empty'
                        WHEN wrong.tag ~ '[, ]' THEN 'has a comma or a space, which separate tags'
                        WHEN wrong.tag COLLATE "C" !~ '^[!-~]+$' THEN 'has a character that is not visible ASCII'
                        ELSE format('has %s characters', length(wrong.tag))
                    END
                ),
                HINT = 'A tag is 1 to 128 visible ASCII characters without commas and spaces, as in the Cache-Tag header. '
                    'Give several tags as several elements.';
    END IF;

    INSERT INTO edge_cache.outbox (kind, tags, reason)
    SELECT purge.kind, array_agg(d.tag ORDER BY d.place), coalesce(purge.reason, '')
    FROM (
        SELECT u.tag, row_number() OVER (ORDER BY u.tag) - 1 AS place
        FROM (SELECT DISTINCT t.tag COLLATE "C" AS tag FROM unnest(purge.tags) AS t (tag) WHERE t.tag IS NOT NULL) AS u
    ) AS d
    GROUP BY d.place / batch_max
    ORDER BY d.place / batch_max;
    IF NOT FOUND THEN
        RETURN;
    END IF;

    -- The wake-up. A commit with a NOTIFY takes a lock that the whole cluster shares, so there is about one in 50 ms and not one per
    -- write. One that is lost, because its transaction was rolled back or because another was sent just before, does no harm: the
    -- consumer also looks by itself. A time in the future means that the clock was set back.
    now_ms := extract(epoch FROM clock_timestamp()) * 1000;
    SELECT s.last_value INTO notified_ms FROM edge_cache.outbox_notified AS s;
    IF now_ms NOT BETWEEN notified_ms AND notified_ms + pause_ms - 1 THEN
        PERFORM setval('edge_cache.outbox_notified', now_ms);
        PERFORM pg_notify('edge_cache_outbox', '');
    END IF;
END
$$;
COMMENT ON FUNCTION edge_cache.purge(text[], text, text) IS
    'Purges what has one of the tags if and only if this transaction commits. kind: soft or hard. Nulls and duplicates are dropped.';

CREATE OR REPLACE FUNCTION edge_cache.invalidate(VARIADIC tags text[])
RETURNS void
LANGUAGE sql
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT edge_cache.purge(tags, 'soft');
$$;
COMMENT ON FUNCTION edge_cache.invalidate(text[]) IS
    'Purges what has one of the tags, softly, if and only if this transaction commits: it may still stand in when the origin fails.';

CREATE OR REPLACE FUNCTION edge_cache.invalidate_hard(VARIADIC tags text[])
RETURNS void
LANGUAGE sql
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT edge_cache.purge(tags, 'hard');
$$;
COMMENT ON FUNCTION edge_cache.invalidate_hard(text[]) IS
    'Purges what has one of the tags if and only if this transaction commits, never to be shown again: for what fewer people may see.';

-- Every role may purge, for a write that cannot say what it makes stale is the worse evil; none may read, change or delete a row. Granted
-- only by the first run, which the schema's comment marks: a right that was taken away since then stays away.
DO $$
BEGIN
    IF obj_description('edge_cache'::regnamespace, 'pg_namespace') IS NULL THEN
        REVOKE ALL ON SCHEMA edge_cache FROM PUBLIC;
        REVOKE ALL ON TABLE edge_cache.outbox, edge_cache.state FROM PUBLIC;
        REVOKE ALL ON SEQUENCE edge_cache.outbox_notified, edge_cache.outbox_id_seq FROM PUBLIC;
        GRANT USAGE ON SCHEMA edge_cache TO PUBLIC;
        GRANT EXECUTE ON FUNCTION edge_cache.purge(text[], text, text) TO PUBLIC;
        GRANT EXECUTE ON FUNCTION edge_cache.invalidate(text[]) TO PUBLIC;
        GRANT EXECUTE ON FUNCTION edge_cache.invalidate_hard(text[]) TO PUBLIC;
    END IF;
END
$$;
COMMENT ON SCHEMA edge_cache IS 'Tells an HTTP cache which answers a transaction makes stale. See edge_cache.invalidate.';
