use std::sync::Arc;

use edge_cache_origin::database::{DbError, Transaction, Value};

use super::plan::{Plan, SIGNED_IN, Table};
use super::words::{FIRST_NAMES, LAST_NAMES, PLACES, sentence};

/// The types of users 1 to 5, who have sessions.
pub(super) const USER_TYPES: [&str; 5] = ["creator", "production", "investor", "viewer", "admin"];

pub(super) fn user_type(id: i64) -> &'static str {
    match (id, id % 10) {
        (1..=SIGNED_IN, _) => usize::try_from(id - 1).ok().and_then(|at| USER_TYPES.get(at)).unwrap_or(&"viewer"),
        (_, 0..=2) => "creator",
        (_, 3) => "production",
        (_, 4 | 5) => "investor",
        _ => "viewer",
    }
}

pub(super) async fn insert_users(tx: &mut Transaction, plan: &Arc<Plan>) -> Result<u64, DbError> {
    let columns = [
        "id",
        "email",
        "username",
        "user_type",
        "first_name",
        "last_name",
        "bio",
        "location",
        "company_name",
        "company_verified",
        "avatar_url",
        "is_active",
        "created_at",
        "updated_at",
        "last_login_at",
    ];
    let plan = Arc::clone(plan);
    tx.insert_rows("users", &columns, (1..=plan.users).map(move |id| user(&plan, id))).await
}

fn user(plan: &Plan, id: i64) -> Vec<Value> {
    let mut rng = plan.rng(Table::User, id);
    let (first, last) = (rng.pick(&FIRST_NAMES), rng.pick(&LAST_NAMES));
    let username = format!("{}.{}.{id}", first.to_ascii_lowercase(), last.to_ascii_lowercase());
    let has_company = matches!(user_type(id), "production" | "investor");
    let joined = plan.joined(&mut rng);
    vec![
        Value::Int(id),
        format!("{username}@example.com").into(),
        username.into(),
        user_type(id).into(),
        first.into(),
        last.into(),
        sentence(&mut rng, 14).into(),
        rng.pick(&PLACES).into(),
        Value::opt_text(has_company.then(|| format!("{last} Pictures"))),
        (has_company && rng.chance(60)).into(),
        format!("https://images.pitchey.example/avatars/{id}.jpg").into(),
        true.into(),
        Value::Time(joined),
        Value::Time(joined),
        Value::Null,
    ]
}

/// Two follows for each pitch there is, spread over the creators, the first ones followed most.
pub(super) async fn insert_follows(tx: &mut Transaction, plan: &Arc<Plan>) -> Result<u64, DbError> {
    let creators = i64::try_from(plan.creators.len()).unwrap_or(1);
    let each = (plan.pitches * 2 / creators.max(1)).max(1);
    let most = plan.users - SIGNED_IN - 1;
    let plan = Arc::clone(plan);
    let rows = (0..plan.creators.len()).flat_map(move |at| {
        let creator = plan.creators[at];
        let mut rng = plan.rng(Table::Follow, creator);
        let start = rng.next();
        let count = u32::try_from((each / 2 + rng.id(each)).min(most)).unwrap_or(0);
        let plan = Arc::clone(&plan);
        (0..count).filter_map(move |step| {
            let follower = plan.other_user(start, step);
            let at = plan.now - std::time::Duration::from_millis(1 + rng.below(300 * 86_400_000));
            (follower != creator).then(|| vec![Value::Int(follower), Value::Int(creator), Value::Time(at)])
        })
    });
    tx.insert_rows("follows", &["follower_id", "following_id", "created_at"], rows).await
}
