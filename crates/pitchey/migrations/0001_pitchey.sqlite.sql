CREATE TABLE users (
    id integer PRIMARY KEY AUTOINCREMENT,
    email text NOT NULL,
    username text NOT NULL,
    user_type text NOT NULL
        CHECK (user_type IN ('creator', 'production', 'investor', 'viewer', 'admin')),
    first_name text,
    last_name text,
    bio text,
    location text,
    company_name text,
    company_verified integer NOT NULL DEFAULT false,
    avatar_url text,
    is_active integer NOT NULL DEFAULT true,
    created_at integer NOT NULL,
    updated_at integer NOT NULL,
    last_login_at integer
);
CREATE UNIQUE INDEX users_email_key ON users (lower(email));
CREATE UNIQUE INDEX users_username_key ON users (lower(username));

CREATE TABLE sessions (
    token_hash text PRIMARY KEY,
    user_id integer NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    expires_at integer NOT NULL
);
CREATE INDEX sessions_user_idx ON sessions (user_id);

CREATE TABLE pitches (
    id integer PRIMARY KEY AUTOINCREMENT,
    user_id integer NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    title text NOT NULL,
    title_key text NOT NULL,
    slug text NOT NULL,
    tagline text,
    logline text,
    short_synopsis text,
    long_synopsis text,
    genre text NOT NULL,
    format text NOT NULL
        CHECK (format IN ('feature', 'short', 'tv', 'webseries', 'other')),
    budget_bracket text,
    estimated_budget integer CHECK (estimated_budget >= 0),
    production_stage text,
    target_audience text,
    themes text,
    poster_url text,
    trailer_url text,
    status text NOT NULL DEFAULT 'draft'
        CHECK (status IN ('draft', 'under_review', 'published', 'hidden', 'archived')),
    visibility text NOT NULL DEFAULT 'private'
        CHECK (visibility IN ('public', 'investors_only', 'private')),
    require_nda integer NOT NULL DEFAULT false,
    seeking_investment integer NOT NULL DEFAULT false,
    view_count integer NOT NULL DEFAULT 0,
    like_count integer NOT NULL DEFAULT 0,
    comment_count integer NOT NULL DEFAULT 0,
    nda_count integer NOT NULL DEFAULT 0,
    share_count integer NOT NULL DEFAULT 0,
    tags text NOT NULL DEFAULT '[]',
    budget_breakdown text,
    financial_projections text,
    distribution_plan text,
    contact_details text,
    published_at integer,
    created_at integer NOT NULL,
    updated_at integer NOT NULL
);
CREATE UNIQUE INDEX pitches_slug_key ON pitches (slug);
CREATE INDEX pitches_owner_idx ON pitches (user_id, created_at DESC, id DESC);
CREATE INDEX pitches_trending_idx
    ON pitches ((3 * view_count + 5 * like_count + 2 * comment_count) DESC, created_at DESC, id DESC)
    WHERE status = 'published' AND visibility = 'public';
CREATE INDEX pitches_new_idx ON pitches (published_at DESC, id DESC)
    WHERE status = 'published' AND visibility = 'public';
CREATE INDEX pitches_featured_idx ON pitches ((view_count + 3 * like_count) DESC, created_at DESC, id DESC)
    WHERE status = 'published' AND visibility = 'public';
CREATE INDEX pitches_public_idx ON pitches (created_at DESC, id DESC)
    WHERE status = 'published' AND visibility = 'public';
CREATE INDEX pitches_views_idx ON pitches (view_count DESC, id DESC)
    WHERE status = 'published' AND visibility = 'public';
CREATE INDEX pitches_likes_idx ON pitches (like_count DESC, id DESC)
    WHERE status = 'published' AND visibility = 'public';
CREATE INDEX pitches_title_idx ON pitches (title_key, id)
    WHERE status = 'published' AND visibility = 'public';
CREATE INDEX pitches_genre_idx ON pitches (genre, created_at DESC, id DESC)
    WHERE status = 'published' AND visibility = 'public';
CREATE INDEX pitches_format_idx ON pitches (format, created_at DESC, id DESC)
    WHERE status = 'published' AND visibility = 'public';

-- What searches look through, folded. A table of its own: a view counts in pitches, and must not touch the trigrams.
CREATE TABLE pitch_search (
    pitch_id integer PRIMARY KEY REFERENCES pitches (id) ON DELETE CASCADE,
    search_text text NOT NULL
);

CREATE TABLE pitch_characters (
    id integer PRIMARY KEY AUTOINCREMENT,
    pitch_id integer NOT NULL REFERENCES pitches (id) ON DELETE CASCADE,
    name text NOT NULL,
    description text,
    role text,
    display_order integer NOT NULL DEFAULT 0
);
CREATE INDEX pitch_characters_pitch_idx ON pitch_characters (pitch_id, display_order, id);

CREATE TABLE pitch_documents (
    id integer PRIMARY KEY AUTOINCREMENT,
    pitch_id integer NOT NULL REFERENCES pitches (id) ON DELETE CASCADE,
    file_name text NOT NULL,
    file_url text NOT NULL,
    document_type text NOT NULL,
    is_public integer NOT NULL DEFAULT false,
    requires_nda integer NOT NULL DEFAULT true
);
CREATE INDEX pitch_documents_pitch_idx ON pitch_documents (pitch_id, id);

CREATE TABLE pitch_views (
    id integer PRIMARY KEY AUTOINCREMENT,
    pitch_id integer NOT NULL REFERENCES pitches (id) ON DELETE CASCADE,
    viewer_id integer REFERENCES users (id) ON DELETE CASCADE,
    session_id text,
    viewed_at integer NOT NULL
);
-- Whole, not partial: deleting a pitch finds its views by it.
CREATE UNIQUE INDEX pitch_views_viewer_key ON pitch_views (pitch_id, viewer_id);
CREATE INDEX pitch_views_session_idx ON pitch_views (session_id, pitch_id, viewed_at) WHERE viewer_id IS NULL;
CREATE INDEX pitch_views_user_idx ON pitch_views (viewer_id) WHERE viewer_id IS NOT NULL;

CREATE TABLE pitch_likes (
    user_id integer NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    pitch_id integer NOT NULL REFERENCES pitches (id) ON DELETE CASCADE,
    created_at integer NOT NULL,
    PRIMARY KEY (user_id, pitch_id)
);
CREATE INDEX pitch_likes_pitch_idx ON pitch_likes (pitch_id);

CREATE TABLE saved_pitches (
    user_id integer NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    pitch_id integer NOT NULL REFERENCES pitches (id) ON DELETE CASCADE,
    created_at integer NOT NULL,
    PRIMARY KEY (user_id, pitch_id)
);
CREATE INDEX saved_pitches_recent_idx ON saved_pitches (user_id, created_at DESC, pitch_id DESC);
CREATE INDEX saved_pitches_pitch_idx ON saved_pitches (pitch_id);

CREATE TABLE follows (
    follower_id integer NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    following_id integer NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at integer NOT NULL,
    PRIMARY KEY (follower_id, following_id),
    CHECK (follower_id <> following_id)
);
CREATE INDEX follows_following_idx ON follows (following_id);

CREATE TABLE ndas (
    id integer PRIMARY KEY AUTOINCREMENT,
    pitch_id integer NOT NULL REFERENCES pitches (id) ON DELETE CASCADE,
    signer_id integer NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    status text NOT NULL DEFAULT 'pending'
        CHECK (status IN ('pending', 'signed', 'rejected', 'revoked', 'expired')),
    access_granted integer NOT NULL DEFAULT false,
    signed_at integer,
    expires_at integer,
    UNIQUE (pitch_id, signer_id)
);
CREATE INDEX ndas_signer_idx ON ndas (signer_id);

CREATE TABLE investments (
    id integer PRIMARY KEY AUTOINCREMENT,
    pitch_id integer NOT NULL REFERENCES pitches (id) ON DELETE CASCADE,
    investor_id integer NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    amount integer NOT NULL CHECK (amount > 0),
    status text NOT NULL,
    created_at integer NOT NULL
);
CREATE INDEX investments_pitch_idx ON investments (pitch_id);
CREATE INDEX investments_investor_idx ON investments (investor_id);

CREATE TABLE content_items (
    key text PRIMARY KEY,
    value text NOT NULL,
    updated_at integer NOT NULL
);
