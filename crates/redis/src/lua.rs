use redis::{Cmd, ErrorKind, FromRedisValue, RedisError, Script, ServerErrorKind, aio::ConnectionLike};

/// A script. Its text is sent only to a server that does not know it yet, in the call itself: loading it first would ask every node of a
/// cluster, and a right of its own.
pub(crate) struct Lua {
    text: &'static str,
    hash: String,
}

impl Lua {
    pub(crate) fn new(text: &'static str) -> Self {
        Self { text, hash: Script::new(text).get_hash().to_owned() }
    }

    pub(crate) const fn text(&self) -> &'static str {
        self.text
    }

    pub(crate) async fn call<T: FromRedisValue>(
        &self,
        connection: &mut impl ConnectionLike,
        keys: &[&str],
        args: &[String],
    ) -> Result<T, RedisError> {
        let command = |name: &str, script: &str| -> Cmd {
            let mut command = redis::cmd(name);
            command.arg(script).arg(keys.len()).arg(keys).arg(args);
            command
        };
        match command("EVALSHA", &self.hash).query_async(connection).await {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                command("EVAL", self.text).query_async(connection).await
            }
            answer => answer,
        }
    }
}
