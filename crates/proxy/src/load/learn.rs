//! Learns from a running server what the seeded data holds, so that the load asks for things that are there.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;

use anyhow::{Context, bail, ensure};
use http::HeaderValue;
use serde_json::Value;

use super::catalogue::{Catalogue, Owned, Tokens, Tops, terms};
use super::client::Client;
use super::scrape::get;

/// Details are drawn from at most this many pitches, the most viewed ones; the API's largest offset allows fewer.
const PITCHES_MAX: usize = 50_000;
/// Pitches of the creator that the writes are about.
const OWNED_MAX: usize = 1_000;
/// Genres beyond this many are left out of the mix.
const GENRES_MAX: usize = 53;

/// Asks a server for the catalogue; the answers come in the same order for the same data.
///
/// # Errors
/// When an answer fails or has another shape than the API's, or holds nothing to ask for.
pub(crate) async fn learn(address: SocketAddr, tokens: Tokens) -> anyhow::Result<Catalogue> {
    let mut api = Api { address, client: Client::new(address) };
    let by_views = api.pages("/api/pitches/browse?sort=views&", 100, PITCHES_MAX, None).await?;
    ensure!(!by_views.is_empty(), "the seeded data holds no public pitch");
    let genres = api.genres().await?;
    let tops = Tops {
        trending: api.ids("/api/pitches/browse?tab=trending&limit=100").await?,
        new: api.ids("/api/pitches/browse?tab=new&limit=100").await?,
        featured: api.ids("/api/pitches/featured?limit=12").await?,
        date: api.ids("/api/pitches/browse?sort=date&limit=100").await?,
    };
    let mine = api.pages("/api/pitches/mine?", 50, OWNED_MAX, Some(&tokens.creator)).await?;
    let titles: Vec<String> = by_views.iter().filter_map(|item| text(item, "title").map(str::to_owned)).collect();
    let terms = terms(&titles);
    ensure!(!terms.is_empty(), "the titles hold no word to search for");
    Ok(Catalogue {
        pitches: by_views.iter().filter_map(id).collect(),
        tops,
        terms,
        creators: creators(&by_views)?,
        owned: mine.iter().filter_map(owned).collect(),
        owner: mine.first().and_then(creator),
        genres,
        tokens,
    })
}

/// `Authorization` values from the tokens of the seed, by kind of user.
///
/// # Errors
/// When a kind that the load needs is missing.
pub(crate) fn tokens<'a>(seeded: impl IntoIterator<Item = (&'a str, &'a str)>) -> anyhow::Result<Tokens> {
    let by_kind: HashMap<&str, &str> = seeded.into_iter().collect();
    let token = |kind: &str| -> anyhow::Result<HeaderValue> {
        let token = by_kind.get(kind).with_context(|| format!("the seed gave no token for a {kind} user"))?;
        HeaderValue::try_from(format!("Bearer {token}")).context("a token that no header can carry")
    };
    Ok(Tokens {
        creator: token("creator")?,
        investor: token("investor")?,
        production: token("production")?,
        viewer: token("viewer")?,
    })
}

#[derive(Debug)]
struct Api {
    address: SocketAddr,
    client: Client,
}

impl Api {
    async fn data(&mut self, path: &str, token: Option<&HeaderValue>) -> anyhow::Result<Value> {
        let body = get(&mut self.client, self.address, path, token).await?;
        let mut answer: Value = serde_json::from_slice(&body).with_context(|| format!("GET {path}: no JSON"))?;
        match answer.get_mut("data") {
            Some(data) => Ok(data.take()),
            None => bail!("GET {path}: no data in the answer"),
        }
    }

    async fn list(&mut self, path: &str, token: Option<&HeaderValue>) -> anyhow::Result<Vec<Value>> {
        match self.data(path, token).await? {
            Value::Array(items) => Ok(items),
            _ => bail!("GET {path}: the data is no list"),
        }
    }

    async fn ids(&mut self, path: &str) -> anyhow::Result<Vec<u64>> {
        Ok(self.list(path, None).await?.iter().filter_map(id).collect())
    }

    /// Page after page until one brings nothing new: the end, or the largest offset that the API allows.
    async fn pages(
        &mut self,
        path: &str,
        page: usize,
        count_max: usize,
        token: Option<&HeaderValue>,
    ) -> anyhow::Result<Vec<Value>> {
        let mut seen = HashSet::new();
        let mut all = Vec::new();
        while all.len() < count_max {
            let items = self.list(&format!("{path}limit={page}&offset={}", all.len()), token).await?;
            let before = all.len();
            all.extend(items.into_iter().filter(|item| id(item).is_some_and(|id| seen.insert(id))));
            if all.len() - before < page {
                break;
            }
        }
        Ok(all)
    }

    async fn genres(&mut self) -> anyhow::Result<Vec<String>> {
        let data = self.data("/api/search/facets", None).await?;
        let groups = data.get("genres").and_then(Value::as_array).context("the facets name no genres")?;
        let mut genres: Vec<(u64, String)> = groups
            .iter()
            .filter_map(|group| Some((group.get("count")?.as_u64()?, text(group, "value")?.to_owned())))
            .collect();
        ensure!(!genres.is_empty(), "the facets name no genre");
        genres.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        genres.truncate(GENRES_MAX);
        Ok(genres.into_iter().map(|(_, name)| name).collect())
    }
}

/// Creators, those with the most viewed pitches first.
fn creators(items: &[Value]) -> anyhow::Result<Vec<u64>> {
    let mut seen = HashSet::new();
    let creators: Vec<u64> = items.iter().filter_map(creator).filter(|id| seen.insert(*id)).collect();
    ensure!(!creators.is_empty(), "the lists name no creator");
    Ok(creators)
}

fn id(item: &Value) -> Option<u64> {
    item.get("id")?.as_u64()
}

fn creator(item: &Value) -> Option<u64> {
    item.pointer("/creator/id")?.as_u64()
}

fn text<'a>(item: &'a Value, field: &str) -> Option<&'a str> {
    item.get(field)?.as_str()
}

fn owned(item: &Value) -> Option<Owned> {
    let status = text(item, "status")?;
    let public = status == "published" && text(item, "visibility") == Some("public");
    Some(Owned { id: id(item)?, public, draft: status == "draft" })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_owned_pitch_is_public_only_where_everybody_sees_it() {
        let read = |status, visibility| owned(&json!({"id": 9, "status": status, "visibility": visibility}));
        assert_eq!(read("published", "public"), Some(Owned { id: 9, public: true, draft: false }));
        assert_eq!(read("published", "investors_only"), Some(Owned { id: 9, public: false, draft: false }));
        assert_eq!(read("draft", "public"), Some(Owned { id: 9, public: false, draft: true }));
    }

    #[test]
    fn every_kind_of_user_needs_a_token() {
        let all = [("creator", "a"), ("investor", "b"), ("production", "c"), ("viewer", "d"), ("admin", "e")];
        assert_eq!(tokens(all).unwrap().investor, "Bearer b");
        assert!(tokens(all[..3].to_vec()).unwrap_err().to_string().contains("viewer"));
    }

    #[test]
    fn creators_come_once_each_in_order() {
        let items = [
            json!({"creator": {"id": 4}}),
            json!({"creator": {"id": 2}}),
            json!({"creator": null}),
            json!({"creator": {"id": 4}}),
        ];
        assert_eq!(creators(&items).unwrap(), [4, 2]);
    }
}
