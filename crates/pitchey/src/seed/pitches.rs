use std::collections::HashSet;
use std::sync::Arc;

use edge_cache_core::query::Fold;
use edge_cache_origin::database::{DbError, Transaction, Value};
use serde_json::json;

use super::plan::{Plan, Table, count};
use super::rng::Rng;
use super::words::{AUDIENCES, BUDGETS, FIRST_NAMES, GENRES, LAST_NAMES, ROLES, STAGES, prose, sentence, title};
use crate::endpoints::{FORMATS, GENRE_CHARS_MAX};
use crate::text::{search_text, slug};

const COLUMNS: [&str; 35] = [
    "id",
    "user_id",
    "title",
    "title_key",
    "slug",
    "tagline",
    "logline",
    "short_synopsis",
    "long_synopsis",
    "genre",
    "format",
    "budget_bracket",
    "estimated_budget",
    "production_stage",
    "target_audience",
    "themes",
    "poster_url",
    "trailer_url",
    "status",
    "visibility",
    "require_nda",
    "seeking_investment",
    "view_count",
    "like_count",
    "comment_count",
    "nda_count",
    "share_count",
    "tags",
    "budget_breakdown",
    "financial_projections",
    "distribution_plan",
    "contact_details",
    "published_at",
    "created_at",
    "updated_at",
];

pub(super) async fn insert(tx: &mut Transaction, plan: &Arc<Plan>) -> Result<u64, DbError> {
    let of_rows = Arc::clone(plan);
    let mut slugs = HashSet::new();
    let rows = (1..=plan.pitches).map(move |id| pitch(&of_rows, id, &mut slugs));
    let inserted = tx.insert_rows("pitches", &COLUMNS, rows).await?;
    let of_search = Arc::clone(plan);
    let rows = (1..=plan.pitches).map(move |id| searched(&of_search, id));
    tx.insert_rows("pitch_search", &["pitch_id", "search_text"], rows).await?;
    let of_characters = Arc::clone(plan);
    let characters = (1..=plan.pitches).flat_map(move |id| characters(&of_characters, id));
    let columns = ["pitch_id", "name", "description", "role", "display_order"];
    tx.insert_rows("pitch_characters", &columns, characters).await?;
    let columns = ["pitch_id", "file_name", "file_url", "document_type", "is_public", "requires_nda"];
    tx.insert_rows("pitch_documents", &columns, (1..=plan.pitches).flat_map(documents)).await?;
    Ok(inserted)
}

/// The parts, beside the title, that searches look through. Drawn right after the title, so that both tables can draw the same.
fn searched_parts(rng: &mut Rng) -> (String, String, String, &'static str) {
    let (tagline, logline) = (sentence(rng, 8), sentence(rng, 24));
    let genre = Fold::Slug.apply_cut(rng.pick(&GENRES), GENRE_CHARS_MAX);
    (tagline, logline, genre, rng.pick(&FORMATS))
}

fn searched(plan: &Plan, id: i64) -> Vec<Value> {
    let mut rng = plan.rng(Table::Pitch, id);
    let title = title(&mut rng);
    let (tagline, logline, genre, format) = searched_parts(&mut rng);
    vec![Value::Int(id), search_text([title.as_str(), &tagline, &logline, &genre, format]).into()]
}

fn pitch(plan: &Plan, id: i64, slugs: &mut HashSet<String>) -> Vec<Value> {
    let mut rng = plan.rng(Table::Pitch, id);
    let title = title(&mut rng);
    let mut slug = slug(&title);
    if !slugs.insert(slug.clone()) {
        slug = format!("{slug}-{id}");
        slugs.insert(slug.clone());
    }
    let (tagline, logline, genre, format) = searched_parts(&mut rng);
    let (status, visibility) = Plan::state(id);
    let (created, published) = plan.times(id);
    let budget = i64::try_from(50_000 + rng.below(20_000) * 1000).unwrap_or(0);
    let likes = i64::from(count(&plan.likes, id));
    let synopsis_bytes = 3000 + usize::try_from(rng.below(3000)).unwrap_or(0);
    let mut row = vec![
        Value::Int(id),
        Value::Int(plan.owner(id)),
        Value::Text(title.clone()),
        Fold::Words.apply(&title).into(),
        slug.into(),
        tagline.into(),
        logline.into(),
        prose(&mut rng, 600).into(),
        prose(&mut rng, synopsis_bytes).into(),
        genre.into(),
        format.into(),
        rng.pick(&BUDGETS).into(),
        Value::Int(budget),
        rng.pick(&STAGES).into(),
        rng.pick(&AUDIENCES).into(),
        sentence(&mut rng, 6).into(),
        format!("https://images.pitchey.example/posters/{id}.jpg").into(),
        Value::opt_text(rng.chance(40).then(|| format!("https://video.pitchey.example/trailers/{id}.mp4"))),
        status.into(),
        visibility.into(),
    ];
    row.extend([
        (id % 3 == 0).into(),
        rng.chance(50).into(),
        Value::Int(count(&plan.views, id).into()),
        Value::Int(likes),
        Value::Int(likes / 4),
        Value::Int(count(&plan.ndas, id).into()),
        Value::Int(likes / 9),
        Value::TextList(vec![rng.pick(&STAGES).to_owned(), rng.pick(&AUDIENCES).to_owned()]),
        Value::Json(json!({"above_the_line": budget / 5, "production": budget / 2, "post": budget / 4})),
        Value::Json(json!({"year_1": budget / 2, "year_2": budget, "year_3": budget * 2})),
        sentence(&mut rng, 18).into(),
        Value::Json(json!({"email": format!("pitch-{id}@example.com")})),
        Value::opt_time((status == "published").then_some(published)),
        Value::Time(created),
        Value::Time(published),
    ]);
    row
}

fn characters(plan: &Plan, pitch: i64) -> Vec<Vec<Value>> {
    let mut rng = plan.rng(Table::Character, pitch);
    let count = rng.id(3) + 1;
    let one = |order| {
        vec![
            Value::Int(pitch),
            format!("{} {}", rng.pick(&FIRST_NAMES), rng.pick(&LAST_NAMES)).into(),
            sentence(&mut rng, 16).into(),
            rng.pick(&ROLES).into(),
            Value::Int(order),
        ]
    };
    (1..=count).map(one).collect()
}

/// A poster that everyone may open, and a script for those who signed.
fn documents(pitch: i64) -> Vec<Vec<Value>> {
    let one = |name: &str, kind: &str, is_public: bool| {
        vec![
            Value::Int(pitch),
            name.into(),
            format!("https://files.pitchey.example/{pitch}/{name}").into(),
            kind.into(),
            is_public.into(),
            (!is_public).into(),
        ]
    };
    vec![one("one-pager.pdf", "one_pager", true), one("script.pdf", "script", false)]
}
