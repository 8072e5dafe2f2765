use std::sync::Mutex;

use bytes::Bytes;
use http::header::HOST;
use http_body_util::Full;

use super::*;
use crate::load::client::Client;

/// How a made-up node treats a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    Answers,
    /// Says 503 to whoever asks whether it wants requests, and answers all the same.
    Drains,
    /// Reads the request and hangs up.
    HangsUp,
}

struct Made {
    seat: Arc<Seat>,
    mood: Arc<Mutex<Mood>>,
    served: Arc<AtomicUsize>,
}

impl Made {
    async fn sit(seat: &Arc<Seat>, name: &'static str) -> Self {
        let (mood, served) = (Arc::new(Mutex::new(Mood::Answers)), Arc::new(AtomicUsize::new(0)));
        let made = Self { seat: Arc::clone(seat), mood, served };
        let address = made.listen(name).await;
        // One listener for both: the paths tell them apart.
        seat.take(address, address);
        seat.ready().await;
        made
    }

    async fn listen(&self, name: &'static str) -> SocketAddr {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (mood, served) = (Arc::clone(&self.mood), Arc::clone(&self.served));
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (mood, served) = (Arc::clone(&mood), Arc::clone(&served));
                let service = service_fn(move |request: Request<Incoming>| {
                    let mood = *mood.lock().unwrap();
                    let answer = answer(&request, name, mood, &served);
                    async move { answer }
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        address
    }

    fn mood(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    fn served(&self) -> usize {
        self.served.load(Ordering::Relaxed)
    }
}

fn answer(
    request: &Request<Incoming>,
    name: &'static str,
    mood: Mood,
    served: &AtomicUsize,
) -> Result<Response<Full<Bytes>>, std::io::Error> {
    let response = Response::builder();
    match (request.uri().path(), mood) {
        ("/health/ready", Mood::Drains) => Ok(response.status(503).body(Full::default()).unwrap()),
        ("/health/ready", _) => Ok(Response::new(Full::default())),
        (_, Mood::HangsUp) => Err(std::io::Error::other("hangs up")),
        _ => {
            served.fetch_add(1, Ordering::Relaxed);
            let host = request.headers()[HOST].to_str().unwrap();
            let answer = response.header("cache-status", format!("{name}; hit")).header("connection", "close");
            Ok(answer.body(format!("{host} {}", request.uri()).into()).unwrap())
        }
    }
}

async fn fleet() -> (Balancer, [Made; 2]) {
    let seats = [Seat::empty(), Seat::empty()];
    let balancer = Balancer::start(seats.clone()).unwrap();
    let nodes = [Made::sit(&seats[0], "a").await, Made::sit(&seats[1], "b").await];
    (balancer, nodes)
}

async fn ask(client: &mut Client, method: Method) -> Response<Bytes> {
    let request = Request::builder().method(method).uri("/x?y=1").header(HOST, "shop.example");
    client.send(request.body(Full::default()).unwrap(), true).await.unwrap()
}

#[tokio::test]
async fn nodes_take_turns_and_everything_goes_through() {
    let (balancer, nodes) = fleet().await;
    let mut client = Client::new(balancer.address);
    for _ in 0..10 {
        let answer = ask(&mut client, Method::GET).await;
        assert_eq!(answer.body(), "shop.example /x?y=1");
        assert!(answer.headers()["cache-status"].to_str().unwrap().ends_with("; hit"));
        assert!(!answer.headers().contains_key(CONNECTION), "that is between node and balancer");
    }
    assert_eq!(nodes.map(|node| node.served()), [5, 5]);
}

#[tokio::test]
async fn a_node_that_hangs_up_costs_no_read_and_no_write_is_sent_twice() {
    let (balancer, [bad, good]) = fleet().await;
    bad.mood(Mood::HangsUp);
    let mut client = Client::new(balancer.address);
    for _ in 0..10 {
        assert_eq!(ask(&mut client, Method::GET).await.status(), 200);
    }
    assert_eq!((bad.served(), good.served()), (0, 10));
    let mut statuses = [ask(&mut client, Method::POST).await.status(), ask(&mut client, Method::POST).await.status()];
    statuses.sort();
    assert_eq!(statuses, [StatusCode::OK, StatusCode::BAD_GATEWAY]);
}

#[tokio::test]
async fn who_wants_no_requests_gets_none_until_the_next_one_does() {
    let (balancer, [draining, other]) = fleet().await;
    draining.mood(Mood::Drains);
    while draining.seat.wanting().is_some() {
        tokio::task::yield_now().await;
    }
    let mut client = Client::new(balancer.address);
    for _ in 0..4 {
        ask(&mut client, Method::GET).await;
    }
    assert_eq!((draining.served(), other.served()), (0, 4));
    draining.seat.leave();
    assert!(draining.seat.occupant().is_none());
    let next = Made::sit(&draining.seat, "next").await;
    for _ in 0..4 {
        ask(&mut client, Method::GET).await;
    }
    assert_eq!((draining.served(), next.served(), other.served()), (0, 2, 6));
}

#[tokio::test]
async fn without_a_node_there_is_an_answer_too() {
    let balancer = Balancer::start([Seat::empty(), Seat::empty()]).unwrap();
    assert_eq!(ask(&mut Client::new(balancer.address), Method::GET).await.status(), 503);
}
