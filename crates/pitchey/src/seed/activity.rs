use std::sync::Arc;
use std::time::Duration;

use edge_cache_origin::database::{DbError, Transaction, Value};

use super::plan::{Plan, SIGNED_IN, Table, count};

/// As many rows as each pitch's counter says. One view in ten is by a user, as far as there are users.
pub(super) async fn insert_views(tx: &mut Transaction, plan: &Arc<Plan>) -> Result<u64, DbError> {
    let plan = Arc::clone(plan);
    let rows = (1..=plan.pitches).flat_map(move |pitch| {
        let plan = Arc::clone(&plan);
        let views = count(&plan.views, pitch);
        let by_users = (views / 10).min(u32::try_from(plan.users - SIGNED_IN).unwrap_or(0));
        let mut rng = plan.rng(Table::View, pitch);
        let start = rng.next();
        (0..views).map(move |at| {
            let (viewer, session) = match at < by_users {
                true => (Value::Int(plan.other_user(start, at)), Value::Null),
                false => (Value::Null, format!("{:016x}", rng.next()).into()),
            };
            vec![Value::Int(pitch), viewer, session, Value::Time(plan.moment(pitch, &mut rng))]
        })
    });
    tx.insert_rows("pitch_views", &["pitch_id", "viewer_id", "session_id", "viewed_at"], rows).await
}

pub(super) async fn insert_likes(tx: &mut Transaction, plan: &Arc<Plan>) -> Result<u64, DbError> {
    let rows = pairs(plan, Table::Like, |plan| &plan.likes);
    tx.insert_rows("pitch_likes", &["pitch_id", "user_id", "created_at"], rows).await
}

pub(super) async fn insert_saved(tx: &mut Transaction, plan: &Arc<Plan>) -> Result<u64, DbError> {
    let rows = pairs(plan, Table::Saved, |plan| &plan.saved);
    tx.insert_rows("saved_pitches", &["pitch_id", "user_id", "created_at"], rows).await
}

/// Pitch, user and time: for each pitch as many different users as `counts` says.
fn pairs(
    plan: &Arc<Plan>,
    table: Table,
    counts: fn(&Plan) -> &[u32],
) -> impl Iterator<Item = Vec<Value>> + Send + use<> {
    let plan = Arc::clone(plan);
    (1..=plan.pitches).flat_map(move |pitch| {
        let plan = Arc::clone(&plan);
        let mut rng = plan.rng(table, pitch);
        let start = rng.next();
        (0..count(counts(&plan), pitch)).map(move |at| {
            let user = plan.other_user(start, at);
            vec![Value::Int(pitch), Value::Int(user), Value::Time(plan.moment(pitch, &mut rng))]
        })
    })
}

pub(super) async fn insert_ndas(tx: &mut Transaction, plan: &Arc<Plan>) -> Result<u64, DbError> {
    let plan = Arc::clone(plan);
    let rows = (1..=plan.pitches).flat_map(move |pitch| {
        let plan = Arc::clone(&plan);
        let (owner, wanted) = (plan.owner(pitch), count(&plan.ndas, pitch));
        let mut rng = plan.rng(Table::Nda, pitch);
        let start = rng.next();
        // One signer more than wanted, since the owner may be among them and is left out.
        let signers = move |plan: &Plan, at| Some(plan.other_user(start, at)).filter(|signer| *signer != owner);
        let of_signers = Arc::clone(&plan);
        (0..=wanted).filter_map(move |at| signers(&of_signers, at)).take(usize::try_from(wanted).unwrap_or(0)).map(
            move |signer| {
                let signed_at = plan.moment(pitch, &mut rng);
                let (status, is_granted) = match rng.below(10) {
                    0..=5 => ("signed", true),
                    6 | 7 => ("pending", false),
                    8 => ("rejected", false),
                    _ => ("revoked", false),
                };
                let times = (status == "signed").then(|| (signed_at, signed_at + Duration::from_secs(365 * 86_400)));
                vec![
                    Value::Int(pitch),
                    Value::Int(signer),
                    status.into(),
                    is_granted.into(),
                    Value::opt_time(times.map(|(signed_at, _)| signed_at)),
                    Value::opt_time(times.map(|(_, expires_at)| expires_at)),
                ]
            },
        )
    });
    let columns = ["pitch_id", "signer_id", "status", "access_granted", "signed_at", "expires_at"];
    tx.insert_rows("ndas", &columns, rows).await
}

/// One investment for every ten pitches, in published ones.
pub(super) async fn insert_investments(tx: &mut Transaction, plan: &Arc<Plan>) -> Result<u64, DbError> {
    let plan = Arc::clone(plan);
    let rows = (1..=plan.pitches / 10).map(move |row| {
        let mut rng = plan.rng(Table::Investment, row);
        // Pitches whose number ends in 1 are published.
        let pitch = (rng.id(plan.pitches) - 1) / 10 * 10 + 1;
        let investor = plan.other_user(rng.next(), 0);
        let amount = i64::try_from(1000 * (1 + rng.below(500))).unwrap_or(1000);
        let status = rng.pick(&["pledged", "committed", "paid"]);
        let at = plan.moment(pitch, &mut rng);
        vec![Value::Int(pitch), Value::Int(investor), Value::Int(amount), status.into(), Value::Time(at)]
    });
    tx.insert_rows("investments", &["pitch_id", "investor_id", "amount", "status", "created_at"], rows).await
}
