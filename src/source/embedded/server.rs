//! Serves the embedded Kinesis on a loopback port.

use std::io::ErrorKind;
use std::net::Ipv4Addr;
use std::time::Duration;

use axum::extract::DefaultBodyLimit;
use axum::serve::ListenerExt;
use ferrokinesis::actions::{Operation, dispatch};
use ferrokinesis::store::{Store, StoreOptions};
use ferrokinesis::types::StreamStatus;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::prune::Pruner;
use crate::error::{Error, Result};
use crate::limits;

/// How to run the embedded Kinesis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbeddedOptions {
    /// TCP port on 127.0.0.1; 0 takes any free one.
    pub port: u16,
    /// Shards of the stream.
    pub shards: u32,
    /// The stream that is created.
    pub stream_name: String,
    /// Records are kept at least this long, unless they are too many.
    pub retain: Duration,
    /// Bytes of records (base64, with their keys) that are kept at most; the oldest go first.
    pub retain_bytes: u64,
}

impl Default for EmbeddedOptions {
    fn default() -> Self {
        Self {
            port: 0,
            shards: 4,
            stream_name: "user_events".to_owned(),
            retain: Duration::from_secs(120),
            retain_bytes: 128 * 1024 * 1024,
        }
    }
}

impl EmbeddedOptions {
    fn validate(&self) -> Result<()> {
        let name = &self.stream_name;
        let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
        if name.is_empty() || name.len() > 128 || !name.bytes().all(legal) {
            return Err(Error::user(format!("`{name}` cannot be the name of a stream"))
                .hint("use 1 to 128 letters, digits, underscores, dots and hyphens"));
        }
        if !(1..=limits::EMBEDDED_SHARDS_MAX).contains(&self.shards) {
            return Err(Error::user(format!("the embedded Kinesis cannot have {} shards", self.shards))
                .hint(format!("choose between 1 and {}", limits::EMBEDDED_SHARDS_MAX)));
        }
        Ok(())
    }
}

/// What the embedded Kinesis holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retained {
    /// Records.
    pub records: u64,
    /// Their bytes as stored: base64, with partition keys.
    pub bytes: u64,
}

/// A running Kinesis with one active stream. Dropping it stops it, too, without waiting.
pub struct EmbeddedKinesis {
    port: u16,
    stream_name: String,
    store: Store,
    server: JoinHandle<std::io::Result<()>>,
    pruner: JoinHandle<()>,
    stop: CancellationToken,
    _stop_when_dropped: DropGuard,
}

impl std::fmt::Debug for EmbeddedKinesis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EmbeddedKinesis")
            .field("port", &self.port)
            .field("stream", &self.stream_name)
            .finish_non_exhaustive()
    }
}

impl EmbeddedKinesis {
    /// Binds the port, serves, creates the stream and waits until it is active.
    ///
    /// # Errors
    /// A user's error when the port is taken or not allowed, or when an option is impossible.
    pub async fn start(options: EmbeddedOptions) -> Result<Self> {
        options.validate()?;
        let listener = bind(options.port).await?;
        let port = listener.local_addr()?.port();
        let (router, store) = ferrokinesis::create_app(StoreOptions {
            create_stream_ms: 0,
            // Room for splits.
            shard_limit: options.shards.saturating_mul(4).saturating_add(16),
            max_retained_bytes: Some(options.retain_bytes.saturating_mul(2)),
            ..StoreOptions::default()
        });
        create_stream(&store, &options).await?;

        let stop = CancellationToken::new();
        // A full PutRecords is a third larger in base64, and JSON comes on top.
        let router = router.layer(DefaultBodyLimit::max(2 * limits::PUT_RECORDS_BYTES_MAX));
        let listener = listener.tap_io(|stream| {
            // Small replies should not wait for more; a socket that cannot do so still works.
            let _ = stream.set_nodelay(true);
        });
        let serve = axum::serve(listener, router).with_graceful_shutdown(stop.clone().cancelled_owned());
        let server = tokio::spawn(async move { serve.await });
        let pruner = Pruner::new(store.clone(), options.stream_name.clone(), options.retain, options.retain_bytes);
        let pruner = tokio::spawn(pruner.run(stop.clone()));
        Ok(Self {
            port,
            stream_name: options.stream_name,
            store,
            server,
            pruner,
            _stop_when_dropped: stop.clone().drop_guard(),
            stop,
        })
    }

    /// `http://127.0.0.1:<port>`.
    pub fn endpoint_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The stream that was created.
    pub fn stream_name(&self) -> &str {
        &self.stream_name
    }

    /// What is held in memory now.
    pub fn retained(&self) -> Retained {
        let metrics = self.store.metrics();
        Retained { records: metrics.retained_records(), bytes: metrics.retained_bytes() }
    }

    /// Stops serving. Requests under way get a second to end.
    pub async fn shutdown(mut self) {
        self.stop.cancel();
        if tokio::time::timeout(Duration::from_secs(1), &mut self.server).await.is_err() {
            self.server.abort();
        }
        // It ends with the token; an error could only say that it was cancelled.
        let _ = self.pruner.await;
    }

    #[cfg(test)]
    pub(super) fn store(&self) -> Store {
        self.store.clone()
    }
}

async fn bind(port: u16) -> Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(|e| {
        let (message, hint) = match e.kind() {
            ErrorKind::AddrInUse => (format!("port {port} is in use"), "choose another port, or 0 for any free one"),
            ErrorKind::PermissionDenied => (format!("port {port} needs more rights"), "choose a port above 1023"),
            _ => (format!("port {port} cannot be opened"), "choose another port, or 0 for any free one"),
        };
        Error::user(message).at(format!("embedded Kinesis on 127.0.0.1:{port}")).hint(hint).because(e)
    })
}

async fn create_stream(store: &Store, options: &EmbeddedOptions) -> Result<()> {
    let failed = |e| Error::internal("the embedded Kinesis did not create its stream").because(e);
    let request = serde_json::json!({ "StreamName": options.stream_name, "ShardCount": options.shards });
    dispatch(store, Operation::CreateStream, request).await.map_err(failed)?;
    // A task of the server's turns it active, in a moment.
    for _ in 0..1_000 {
        let stream = store.get_stream(&options.stream_name).await.map_err(failed)?;
        if stream.stream_status == StreamStatus::Active {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Err(Error::internal("the embedded Kinesis did not bring its stream up"))
}
