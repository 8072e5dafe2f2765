//! Requests as they go over the wire, and which statuses answer them rightly.

use std::cell::RefCell;
use std::net::SocketAddr;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, LOCATION};
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::Full;

use super::catalogue::{Catalogue, FORMATS};
use super::plan::Call;
use super::read::Read;
use super::write::{Pitch, Write};

/// Makes requests for one server, and remembers the ids of what was created there.
#[derive(Debug)]
pub(crate) struct Messages<'a> {
    catalogue: &'a Catalogue,
    host: HeaderValue,
    created: RefCell<Vec<Option<u64>>>,
}

impl<'a> Messages<'a> {
    /// Messages to `address`.
    pub(crate) fn new(catalogue: &'a Catalogue, address: SocketAddr) -> Self {
        let host = HeaderValue::try_from(address.to_string()).expect("an address is visible ASCII");
        Self { catalogue, host, created: RefCell::default() }
    }

    /// The request of a call; `None` where it is about a pitch whose creation failed.
    pub(crate) fn request(&self, call: Call) -> Option<Request<Full<Bytes>>> {
        match call {
            Call::Read(read) => Some(self.read(read)),
            Call::Write(write) => self.write(write),
        }
    }

    fn read(&self, read: Read) -> Request<Full<Bytes>> {
        let mut target = String::with_capacity(96);
        read.spell(self.catalogue, &mut target);
        let mut request = self.message(Method::GET, target, Bytes::new());
        if let Read::Detail { signed_in: true, .. } = read {
            request.headers_mut().insert(AUTHORIZATION, self.catalogue.tokens.viewer.clone());
        }
        request
    }

    fn write(&self, write: Write) -> Option<Request<Full<Bytes>>> {
        let tokens = &self.catalogue.tokens;
        let detail = |rank: u32| self.catalogue.pitches[rank as usize];
        let toggle = |on| if on { Method::PUT } else { Method::DELETE };
        let none = Bytes::new;
        let (method, target, body, token) = match write {
            Write::View { rank, session } => return Some(self.view(detail(rank), session)),
            Write::Like { rank, on } => {
                (toggle(on), format!("/api/pitches/{}/like", detail(rank)), none(), &tokens.viewer)
            }
            Write::Save { rank, on } => {
                (toggle(on), format!("/api/pitches/{}/save", detail(rank)), none(), &tokens.viewer)
            }
            Write::Follow { rank, on } => {
                let creator = self.catalogue.creators[rank as usize];
                (toggle(on), format!("/api/creators/{creator}/follow"), none(), &tokens.viewer)
            }
            Write::Nda { rank, investor } => {
                let token = if investor { &tokens.investor } else { &tokens.production };
                (Method::POST, format!("/api/pitches/{}/nda", detail(rank)), json("{}"), token)
            }
            Write::Edit { pitch, nth } => {
                let body = format!(
                    r#"{{"logline":"Edited by the load generator, change {nth}: two strangers share one secret."}}"#
                );
                (Method::PATCH, format!("/api/pitches/{}", self.id(pitch)?), json(body), &tokens.creator)
            }
            Write::Create { nth } => (Method::POST, "/api/pitches".to_owned(), json(self.draft(nth)), &tokens.creator),
            Write::Publish { pitch } => {
                (Method::POST, format!("/api/pitches/{}/publish", self.id(pitch)?), json("{}"), &tokens.creator)
            }
            Write::Archive { pitch } => {
                (Method::POST, format!("/api/pitches/{}/archive", self.id(pitch)?), json("{}"), &tokens.creator)
            }
            Write::Profile { nth } => {
                let body = format!(r#"{{"bio":"Writes for the load generator, edition {nth}."}}"#);
                (Method::PATCH, "/api/profile".to_owned(), json(body), &tokens.creator)
            }
        };
        let has_body = !body.is_empty();
        let mut request = self.message(method, target, body);
        request.headers_mut().insert(AUTHORIZATION, token.clone());
        if has_body {
            request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        Some(request)
    }

    fn view(&self, pitch: u64, session: u32) -> Request<Full<Bytes>> {
        let body = json(format!(r#"{{"pitch_id":{pitch},"session_id":"bench-{session}"}}"#));
        let mut request = self.message(Method::POST, "/api/views".to_owned(), body);
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        request
    }

    fn draft(&self, nth: u32) -> String {
        let (genre, format) = draft_slices(nth, self.catalogue.genres.len());
        let body = serde_json::json!({
            "title": format!("Load Study Number {nth}"),
            "logline": "A surveyor finds a village that no map admits to.",
            "genre": self.catalogue.genres[usize::from(genre)],
            "format": FORMATS[usize::from(format)],
            "visibility": "public",
        });
        body.to_string()
    }

    fn id(&self, pitch: Pitch) -> Option<u64> {
        match pitch {
            Pitch::Owned(at) => Some(self.catalogue.owned[usize::from(at)].id),
            Pitch::Created(nth) => self.created.borrow().get(nth as usize).copied().flatten(),
        }
    }

    fn message(&self, method: Method, target: String, body: Bytes) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = Uri::try_from(target).expect("every target is built of encoded parts");
        request.headers_mut().insert(HOST, self.host.clone());
        request
    }

    /// Where whoever published a pitch looks for it next, and what must stand there.
    pub(crate) fn read_own(&self, pitch: Pitch) -> Option<([Request<Full<Bytes>>; 2], String)> {
        let id = self.id(pitch)?;
        let at = [format!("/api/pitches/{id}"), "/api/pitches/new?limit=20".to_owned()];
        Some((at.map(|target| self.message(Method::GET, target, Bytes::new())), format!("\"id\":{id},")))
    }

    /// Learns the id of what was created.
    pub(crate) fn learn(&self, call: Call, response: &Response<Bytes>) {
        let (Call::Write(Write::Create { nth }), StatusCode::CREATED) = (call, response.status()) else { return };
        let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
        let id = location.and_then(|path| path.rsplit('/').next()).and_then(|id| id.parse().ok());
        let mut created = self.created.borrow_mut();
        let at = nth as usize;
        if created.len() <= at {
            created.resize(at + 1, None);
        }
        created[at] = id;
    }
}

/// Genre and format of the n-th draft, as indexes: each slice gets its share.
pub(crate) fn draft_slices(nth: u32, genres: usize) -> (u8, u8) {
    ((nth as usize % genres) as u8, (nth as usize % FORMATS.len()) as u8)
}

/// Whether a status is a right answer. Writes may meet what an earlier one did: gone (404) or there already (409).
pub(crate) fn is_right(call: Call, status: StatusCode) -> bool {
    status.is_success()
        || match call {
            Call::Read(read) => status == StatusCode::NOT_FOUND && read.may_be_missing(),
            Call::Write(_) => matches!(status, StatusCode::NOT_FOUND | StatusCode::CONFLICT),
        }
}

fn json(body: impl Into<Bytes>) -> Bytes {
    body.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_about_a_created_pitch_waits_for_its_id() {
        let catalogue = Catalogue::made_up(100);
        let messages = Messages::new(&catalogue, ([127, 0, 0, 1], 80).into());
        let publish = Call::Write(Write::Publish { pitch: Pitch::Created(1) });
        assert!(messages.request(publish).is_none());
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = StatusCode::CREATED;
        response.headers_mut().insert(LOCATION, HeaderValue::from_static("/api/pitches/512"));
        messages.learn(Call::Write(Write::Create { nth: 1 }), &response);
        assert_eq!(messages.request(publish).unwrap().uri(), "/api/pitches/512/publish");
    }

    #[test]
    fn only_a_signed_in_detail_carries_a_credential() {
        let catalogue = Catalogue::made_up(100);
        let messages = Messages::new(&catalogue, ([127, 0, 0, 1], 80).into());
        let credential = |signed_in| {
            let request = messages.request(Call::Read(Read::Detail { rank: 0, signed_in })).unwrap();
            request.headers().contains_key(AUTHORIZATION)
        };
        assert!(credential(true) && !credential(false));
    }

    #[test]
    fn not_found_is_right_only_where_something_may_be_missing() {
        assert!(is_right(Call::Read(Read::Unknown { number: 1 }), StatusCode::NOT_FOUND));
        assert!(!is_right(Call::Read(Read::Stats), StatusCode::NOT_FOUND));
        assert!(!is_right(Call::Read(Read::Unknown { number: 1 }), StatusCode::SERVICE_UNAVAILABLE));
        assert!(is_right(Call::Write(Write::Profile { nth: 1 }), StatusCode::CONFLICT));
        assert!(!is_right(Call::Write(Write::Profile { nth: 1 }), StatusCode::UNAUTHORIZED));
    }
}
