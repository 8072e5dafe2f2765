CREATE EXTENSION IF NOT EXISTS pg_trgm;

CREATE TABLE users (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    email text COLLATE "C" NOT NULL,
    username text COLLATE "C" NOT NULL,
    user_type text COLLATE "C" NOT NULL
        CHECK (user_type IN ('creator', 'production', 'investor', 'viewer', 'admin')),
    first_name text COLLATE "C",
    last_name text COLLATE "C",
    bio text COLLATE "C",
    location text COLLATE "C",
    company_name text COLLATE "C",
    company_verified boolean NOT NULL DEFAULT false,
    avatar_url text COLLATE "C",
    is_active boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    last_login_at timestamptz
);
CREATE UNIQUE INDEX users_email_key ON users (lower(email));
CREATE UNIQUE INDEX users_username_key ON users (lower(username));

CREATE TABLE sessions (
    token_hash text COLLATE "C" PRIMARY KEY,
    user_id bigint NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    expires_at timestamptz NOT NULL
);
CREATE INDEX sessions_user_idx ON sessions (user_id);

CREATE TABLE pitches (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id bigint NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    title text COLLATE "C" NOT NULL,
    title_key text COLLATE "C" NOT NULL,
    slug text COLLATE "C" NOT NULL,
    tagline text COLLATE "C",
    logline text COLLATE "C",
    short_synopsis text COLLATE "C",
    long_synopsis text COLLATE "C",
    genre text COLLATE "C" NOT NULL,
    format text COLLATE "C" NOT NULL
        CHECK (format IN ('feature', 'short', 'tv', 'webseries', 'other')),
    budget_bracket text COLLATE "C",
    estimated_budget bigint CHECK (estimated_budget >= 0),
    production_stage text COLLATE "C",
    target_audience text COLLATE "C",
    themes text COLLATE "C",
    poster_url text COLLATE "C",
    trailer_url text COLLATE "C",
    status text COLLATE "C" NOT NULL DEFAULT 'draft'
        CHECK (status IN ('draft', 'under_review', 'published', 'hidden', 'archived')),
    visibility text COLLATE "C" NOT NULL DEFAULT 'private'
        CHECK (visibility IN ('public', 'investors_only', 'private')),
    require_nda boolean NOT NULL DEFAULT false,
    seeking_investment boolean NOT NULL DEFAULT false,
    view_count bigint NOT NULL DEFAULT 0,
    like_count bigint NOT NULL DEFAULT 0,
    comment_count bigint NOT NULL DEFAULT 0,
    nda_count bigint NOT NULL DEFAULT 0,
    share_count bigint NOT NULL DEFAULT 0,
    tags text[] NOT NULL DEFAULT '{}',
    budget_breakdown jsonb,
    financial_projections jsonb,
    distribution_plan text COLLATE "C",
    contact_details jsonb,
    published_at timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
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
    pitch_id bigint PRIMARY KEY REFERENCES pitches (id) ON DELETE CASCADE,
    search_text text COLLATE "C" NOT NULL
);
-- Without a pending list: edits are few, and every search would read through it (measured: 400 ms instead of 10).
CREATE INDEX pitch_search_trigram_idx ON pitch_search USING gin (search_text gin_trgm_ops) WITH (fastupdate = off);

CREATE TABLE pitch_characters (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    pitch_id bigint NOT NULL REFERENCES pitches (id) ON DELETE CASCADE,
    name text COLLATE "C" NOT NULL,
    description text COLLATE "C",
    role text COLLATE "C",
    display_order bigint NOT NULL DEFAULT 0
);
CREATE INDEX pitch_characters_pitch_idx ON pitch_characters (pitch_id, display_order, id);

CREATE TABLE pitch_documents (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    pitch_id bigint NOT NULL REFERENCES pitches (id) ON DELETE CASCADE,
    file_name text COLLATE "C" NOT NULL,
    file_url text COLLATE "C" NOT NULL,
    document_type text COLLATE "C" NOT NULL,
    is_public boolean NOT NULL DEFAULT false,
    requires_nda boolean NOT NULL DEFAULT true
);
CREATE INDEX pitch_documents_pitch_idx ON pitch_documents (pitch_id, id);

CREATE TABLE pitch_views (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    pitch_id bigint NOT NULL REFERENCES pitches (id) ON DELETE CASCADE,
    viewer_id bigint REFERENCES users (id) ON DELETE CASCADE,
    session_id text COLLATE "C",
    viewed_at timestamptz NOT NULL
);
-- Whole, not partial: deleting a pitch finds its views by it.
CREATE UNIQUE INDEX pitch_views_viewer_key ON pitch_views (pitch_id, viewer_id);
CREATE INDEX pitch_views_session_idx ON pitch_views (session_id, pitch_id, viewed_at) WHERE viewer_id IS NULL;
CREATE INDEX pitch_views_user_idx ON pitch_views (viewer_id) WHERE viewer_id IS NOT NULL;

CREATE TABLE pitch_likes (
    user_id bigint NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    pitch_id bigint NOT NULL REFERENCES pitches (id) ON DELETE CASCADE,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (user_id, pitch_id)
);
CREATE INDEX pitch_likes_pitch_idx ON pitch_likes (pitch_id);

CREATE TABLE saved_pitches (
    user_id bigint NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    pitch_id bigint NOT NULL REFERENCES pitches (id) ON DELETE CASCADE,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (user_id, pitch_id)
);
CREATE INDEX saved_pitches_recent_idx ON saved_pitches (user_id, created_at DESC, pitch_id DESC);
CREATE INDEX saved_pitches_pitch_idx ON saved_pitches (pitch_id);

CREATE TABLE follows (
    follower_id bigint NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    following_id bigint NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (follower_id, following_id),
    CHECK (follower_id <> following_id)
);
CREATE INDEX follows_following_idx ON follows (following_id);

CREATE TABLE ndas (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    pitch_id bigint NOT NULL REFERENCES pitches (id) ON DELETE CASCADE,
    signer_id bigint NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    status text COLLATE "C" NOT NULL DEFAULT 'pending'
        CHECK (status IN ('pending', 'signed', 'rejected', 'revoked', 'expired')),
    access_granted boolean NOT NULL DEFAULT false,
    signed_at timestamptz,
    expires_at timestamptz,
    UNIQUE (pitch_id, signer_id)
);
CREATE INDEX ndas_signer_idx ON ndas (signer_id);

CREATE TABLE investments (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    pitch_id bigint NOT NULL REFERENCES pitches (id) ON DELETE CASCADE,
    investor_id bigint NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    amount bigint NOT NULL CHECK (amount > 0),
    status text COLLATE "C" NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE INDEX investments_pitch_idx ON investments (pitch_id);
CREATE INDEX investments_investor_idx ON investments (investor_id);

CREATE TABLE content_items (
    key text COLLATE "C" PRIMARY KEY,
    value jsonb NOT NULL,
    updated_at timestamptz NOT NULL
);
