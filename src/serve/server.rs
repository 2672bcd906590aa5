//! Binding, serving, stopping.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::answers::{Exhibits, healthz, metrics, now, readyz, status};
use crate::error::{Error, Result};
use crate::limits::SERVE_DRAIN_SECS_MAX;

/// A server that has its address and waits to run.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
}

impl Server {
    /// Takes the address; port 0 takes any free one.
    ///
    /// # Errors
    /// A user error that names the address and `serve.listen` if it is taken, not this machine's, or may not be used.
    pub async fn bind(listen: SocketAddr) -> Result<Self> {
        let bound = async {
            let listener = TcpListener::bind(listen).await?;
            let address = listener.local_addr()?;
            Ok(Self { listener, address })
        };
        bound.await.map_err(|error| refused(listen, error))
    }

    /// The address it listens on, with the port that was really taken.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` is cancelled. Requests under way are then finished, within [`SERVE_DRAIN_SECS_MAX`].
    ///
    /// # Errors
    /// An external error if the listener fails.
    pub async fn run(self, exhibits: Exhibits, stop: CancellationToken) -> Result<()> {
        let serving =
            axum::serve(self.listener, routes(exhibits)).with_graceful_shutdown(stop.clone().cancelled_owned());
        let out_of_patience = async {
            stop.cancelled().await;
            tokio::time::sleep(Duration::from_secs(SERVE_DRAIN_SECS_MAX)).await;
        };
        tokio::select! {
            served = serving => {
                served.map_err(|e| Error::external("the HTTP server failed").at(self.address.to_string()).because(e))
            }
            // Dropping the server closes the connections of clients that do not read their answer.
            () = out_of_patience => Ok(()),
        }
    }
}

fn routes(exhibits: Exhibits) -> Router {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/api/status", get(status))
        .route("/api/now", get(now))
        .route("/metrics", get(metrics))
        .fallback(|| async {
            (StatusCode::NOT_FOUND, "not here; try /api/status, /api/now, /metrics, /readyz or /healthz\n")
        })
        .with_state(exhibits)
}

fn refused(listen: SocketAddr, error: std::io::Error) -> Error {
    let elsewhere = "set serve.listen to another address, e.g. HEADCOUNT__SERVE__LISTEN=127.0.0.1:8081, or \
                     serve.enabled = false";
    let (message, hint) = match error.kind() {
        ErrorKind::AddrInUse => (format!("cannot listen on {listen}: another program does"), elsewhere),
        ErrorKind::AddrNotAvailable => (
            format!("cannot listen on {listen}: this machine has no such address"),
            "set serve.listen to 127.0.0.1:8080, or to 0.0.0.0:8080 for every interface",
        ),
        ErrorKind::PermissionDenied => (
            format!("cannot listen on {listen}: this user may not"),
            "set serve.listen to a port above 1023, such as 127.0.0.1:8080",
        ),
        _ => {
            return Error::external(format!("cannot listen on {listen}"))
                .at("serve.listen")
                .hint(elsewhere)
                .because(error);
        }
    };
    Error::user(message).at("serve.listen").hint(hint).because(error)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::Arc;

    use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;
    use crate::clock::ManualClock;

    const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

    /// The whole answer to one request over a real connection.
    async fn get_over_tcp(address: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    fn exhibits(metrics: PrometheusHandle) -> Exhibits {
        Exhibits { metrics, board: Arc::default(), clock: Arc::new(ManualClock::at(5_000_000)) }
    }

    #[tokio::test]
    async fn it_serves_metrics_health_and_status_until_it_is_stopped() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        ::metrics::with_local_recorder(&recorder, crate::telemetry::describe);
        let server = Server::bind(ANY_PORT).await.unwrap();
        let address = server.address();
        assert_ne!(address.port(), 0);
        let stop = CancellationToken::new();
        let running = tokio::spawn(server.run(exhibits(handle), stop.clone()));

        let metrics = get_over_tcp(address, "/metrics").await;
        assert!(metrics.starts_with("HTTP/1.1 200 OK\r\n"), "{metrics}");
        assert!(metrics.contains("content-type: text/plain; version=0.0.4; charset=utf-8\r\n"), "{metrics}");
        assert!(metrics.contains("\nheadcount_events_read_total 0\n"), "{metrics}");
        let health = get_over_tcp(address, "/healthz").await;
        assert!(health.starts_with("HTTP/1.1 200 OK\r\n") && health.ends_with("\r\n\r\nok\n"), "{health}");
        let ready = get_over_tcp(address, "/readyz").await;
        assert!(ready.starts_with("HTTP/1.1 503 ") && ready.contains("cache-control: no-store\r\n"), "{ready}");
        assert!(ready.contains("\"status\": \"not_ready\"") && ready.contains("lake_not_reached"), "{ready}");
        let status = get_over_tcp(address, "/api/status").await;
        assert!(status.starts_with("HTTP/1.1 200 OK\r\n"), "{status}");
        assert!(status.contains("content-type: application/json\r\n"), "{status}");
        assert!(status.contains("\"uptime_secs\": 5.0") && status.contains("\"phase\": \"starting\""), "{status}");
        let early = get_over_tcp(address, "/api/now?table=concurrent_viewers").await;
        assert!(early.starts_with("HTTP/1.1 503 ") && early.contains("the job has not begun"), "{early}");
        let unclear = get_over_tcp(address, "/api/now").await;
        assert!(unclear.starts_with("HTTP/1.1 400 ") && unclear.contains("no table is named"), "{unclear}");
        let lost = get_over_tcp(address, "/").await;
        assert!(lost.starts_with("HTTP/1.1 404 ") && lost.contains("/readyz or /healthz"), "{lost}");

        stop.cancel();
        running.await.unwrap().unwrap();
        assert!(TcpStream::connect(address).await.is_err());
    }

    #[tokio::test]
    async fn an_idle_connection_does_not_delay_the_stop() {
        let handle = PrometheusBuilder::new().build_recorder().handle();
        let server = Server::bind(ANY_PORT).await.unwrap();
        let address = server.address();
        let stop = CancellationToken::new();
        let running = tokio::spawn(server.run(exhibits(handle), stop.clone()));
        let mut idle = TcpStream::connect(address).await.unwrap();
        idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        let mut first = [0_u8; 12];
        idle.read_exact(&mut first).await.unwrap();
        assert_eq!(&first, b"HTTP/1.1 200");
        stop.cancel();
        running.await.unwrap().unwrap();
        let mut rest = Vec::new();
        idle.read_to_end(&mut rest).await.unwrap();
    }

    #[tokio::test]
    async fn a_busy_port_is_one_clear_error() {
        let first = Server::bind(ANY_PORT).await.unwrap();
        let error = Server::bind(first.address()).await.unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert_eq!(error.place(), Some("serve.listen"));
        assert_eq!(error.message(), format!("cannot listen on {}: another program does", first.address()));
        assert!(error.remedy().unwrap().contains("HEADCOUNT__SERVE__LISTEN"));
    }

    #[tokio::test]
    async fn an_address_of_another_machine_is_refused() {
        // 192.0.2.0/24 is reserved for documentation: no machine has it.
        let error = Server::bind("192.0.2.1:0".parse().unwrap()).await.unwrap_err();
        assert!(error.message().contains("this machine has no such address"), "{error}");
    }
}
