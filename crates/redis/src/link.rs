//! One way to Redis, whatever its shape: a server, a primary that sentinels name, or a cluster.

mod server;

use std::{fmt, time::Duration};

use bytes::Bytes;
use futures_util::Stream;
use redis::{
    Client, Cmd, ErrorKind, Msg, Pipeline, RedisError, RedisFuture, RedisResult, TlsMode, ToSingleRedisArg, Value,
    aio::{ConnectionLike, PubSubSink, PubSubStream},
    cluster::{ClusterClientBuilder, ClusterConfig},
    cluster_async::ClusterConnection,
    io::tcp::{TcpSettings, socket2::TcpKeepalive},
    sentinel::{SentinelClientBuilder, SentinelServerType},
};

use self::server::{Server, Source};
use crate::{RedisConfig, RedisConfigError, config::Topology};

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(1);
/// A connection that carries nothing for this long is asked whether it is still there; if it does not say so, it is gone soon after.
const KEEPALIVE: Duration = Duration::from_secs(5);
/// How long what was sent may go without the other side's word that it came.
const UNHEARD_MAX: Duration = Duration::from_secs(5);

/// A connection that many share and that comes back by itself. Cheap to clone; connects at its first use.
#[derive(Clone)]
pub(crate) enum Link {
    Server(Server),
    Cluster {
        connection: ClusterConnection,
        /// The nodes that are named: an announcement reaches all of them, so any will do to listen at.
        seeds: std::sync::Arc<[Client]>,
    },
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Server(_) => "Link::Server",
            Self::Cluster { .. } => "Link::Cluster",
        })
    }
}

impl Link {
    /// A link to what `config` names, for callers that give up after about `answer_max`: each call needs a limit of its own around it, and no
    /// second one is set inside. Must be called on a Tokio runtime.
    pub(crate) fn new(config: &RedisConfig, answer_max: Duration) -> Result<Self, RedisConfigError> {
        let infos = config.servers()?;
        let certificates = config.certificates()?;
        let wrong = |source: RedisError| RedisConfigError {
            key: "url",
            value: config.url_redacted(),
            rule: format!("must be usable: {source}"),
        };
        if infos.iter().any(is_tls) {
            // Whoever runs this process may have chosen one already.
            drop(rustls::crypto::ring::default_provider().install_default());
        }
        let client = |info: redis::ConnectionInfo| {
            let info = info.set_tcp_settings(tcp());
            match &certificates {
                Some(certificates) => Client::build_with_tls(info, certificates.clone()),
                None => Client::open(info),
            }
        };
        let first = infos.first().expect("there is a URL").clone();
        match config.topology {
            Topology::Server => {
                Ok(Self::Server(Server::new(Source::Server(client(first).map_err(wrong)?), answer_max)))
            }
            Topology::Sentinel => {
                let sentinels: Vec<_> = infos.iter().map(|info| info.addr().clone()).collect();
                let kind = SentinelServerType::Master;
                let mut builder =
                    SentinelClientBuilder::new(sentinels, &config.sentinel_service, kind).map_err(wrong)?;
                builder = builder
                    .set_client_to_sentinel_tcp_settings(tcp())
                    .set_client_to_redis_tcp_settings(tcp())
                    .set_client_to_redis_db(first.redis_settings().db());
                if let Some(user) = first.redis_settings().username() {
                    builder = builder.set_client_to_redis_username(user);
                }
                if let Some(password) = first.redis_settings().password() {
                    builder = builder.set_client_to_redis_password(password);
                }
                if !config.sentinel_username.is_empty() {
                    builder = builder.set_client_to_sentinel_username(&config.sentinel_username);
                }
                if !config.sentinel_password.is_empty() {
                    builder = builder.set_client_to_sentinel_password(&config.sentinel_password);
                }
                if is_tls(&first) {
                    builder = builder.set_client_to_redis_tls_mode(TlsMode::Secure);
                }
                if let Some(certificates) = certificates {
                    builder = builder
                        .set_client_to_sentinel_certificates(certificates.clone())
                        .set_client_to_redis_certificates(certificates);
                }
                let sentinels = builder.build().map_err(wrong)?;
                Ok(Self::Server(Server::new(Source::sentinel(sentinels), answer_max)))
            }
            Topology::Cluster => {
                let seeds = infos.iter().cloned().map(&client).collect::<RedisResult<Vec<_>>>().map_err(wrong)?;
                let mut builder = ClusterClientBuilder::new(infos.iter().cloned())
                    .connection_timeout(CONNECT)
                    .response_timeout(answer_max)
                    .overall_response_timeout(Some(answer_max * 2))
                    .retries(3)
                    .min_retry_wait(20)
                    .max_retry_wait(200)
                    .tcp_settings(tcp());
                if is_tls(&first) {
                    builder = builder.tls(TlsMode::Secure);
                }
                if let Some(certificates) = certificates {
                    builder = builder.certs(certificates);
                }
                let cluster = builder.build().map_err(wrong)?;
                let settings = ClusterConfig::new().set_response_timeout(answer_max).set_connection_timeout(CONNECT);
                let connection = cluster.get_pending_async_connection_with_config(settings);
                Ok(Self::Cluster { connection, seeds: seeds.into() })
            }
        }
    }

    /// What is kept under `name`. Without the library's own commands, which put each call on the heap more than once: it is what a hit pays.
    pub(crate) async fn get(&self, name: impl ToSingleRedisArg) -> RedisResult<Option<Bytes>> {
        // Room for the names of entries, unless somebody chose a long prefix.
        let mut command = Cmd::with_capacity(2, 64);
        command.arg("GET").arg(name);
        let found = match self {
            Self::Server(server) => server.ask(&command).await?,
            Self::Cluster { connection, .. } => connection.clone().req_packed_command(&command).await?,
        };
        Ok(redis::from_redis_value(found.extract_error()?)?)
    }

    /// Listens to `channel`, on a connection of its own. It ends when that is lost.
    pub(crate) async fn subscribe(&self, channel: &str) -> RedisResult<Subscription> {
        let client = match self {
            Self::Server(server) => server.client().await?,
            Self::Cluster { seeds, .. } => {
                let mut last = None;
                let first = rand::random_range(0..seeds.len());
                for at in 0..seeds.len() {
                    match subscribed(&seeds[(first + at) % seeds.len()], channel).await {
                        Ok(subscription) => return Ok(subscription),
                        Err(error) => last = Some(error),
                    }
                }
                return Err(last.unwrap_or_else(|| RedisError::from((ErrorKind::Io, "no node is named"))));
            }
        };
        subscribed(&client, channel).await
    }
}

async fn subscribed(client: &Client, channel: &str) -> RedisResult<Subscription> {
    let (mut sink, stream) = client.get_async_pubsub().await?.split();
    sink.subscribe(channel).await?;
    Ok(Subscription { _sink: sink, stream })
}

/// What is announced on a channel.
pub(crate) struct Subscription {
    /// Keeps the connection open.
    _sink: PubSubSink,
    stream: PubSubStream,
}

impl Stream for Subscription {
    type Item = Msg;

    fn poll_next(mut self: std::pin::Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> std::task::Poll<Option<Msg>> {
        std::pin::Pin::new(&mut self.stream).poll_next(cx)
    }
}

fn is_tls(info: &redis::ConnectionInfo) -> bool {
    matches!(info.addr(), redis::ConnectionAddr::TcpTls { .. })
}

fn tcp() -> TcpSettings {
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE).with_interval(Duration::from_secs(1)).with_retries(3);
    let settings = TcpSettings::default().set_nodelay(true).set_keepalive(keepalive);
    #[cfg(target_os = "linux")]
    let settings = settings.set_user_timeout(UNHEARD_MAX);
    settings
}

impl ConnectionLike for Link {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::Server(server) => server.req_packed_command(command),
            Self::Cluster { connection, .. } => connection.req_packed_command(command),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::Server(server) => server.req_packed_commands(pipeline, offset, count),
            Self::Cluster { connection, .. } => connection.req_packed_commands(pipeline, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::Server(server) => server.get_db(),
            Self::Cluster { connection, .. } => connection.get_db(),
        }
    }
}
