//! The HTTP side: requests in, answers out, and troubles on demand.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use ciborium::Value;
use headcount::clock::Clock;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tokio::task::JoinHandle;

use super::datum::{PutDatum, Refusal, datum, invalid, members, name};

/// 1 MB, before and after compression alike: the documentation does not say which it means.
const REQUEST_BYTES_MAX: usize = 1_000_000;

/// What can happen to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Over the account's rate of calls.
    Throttling,
    /// 500.
    InternalServiceFault,
    /// 503 from something in front of the service, not in its protocol.
    Unavailable,
    /// The role may not put metrics.
    AccessDenied,
    /// The data are taken, and the answer says 500.
    LostAnswer,
    /// No answer at all.
    Silence,
}

/// A call that was taken.
#[derive(Debug, Clone)]
pub struct Put {
    pub namespace: String,
    pub data: Vec<PutDatum>,
    /// Before compression.
    pub bytes: usize,
    pub compressed: bool,
}

#[derive(Debug)]
struct Inner {
    clock: Arc<dyn Clock>,
    taken: Mutex<Vec<Put>>,
    refused: Mutex<Vec<Refusal>>,
    troubles: Mutex<Troubles>,
}

#[derive(Debug, Default)]
struct Troubles {
    /// Of the next calls, one each.
    next: VecDeque<Trouble>,
    /// Of every call.
    always: Option<Trouble>,
    /// Of so many calls in 100, chosen by the generator.
    random: Option<(SmallRng, u32)>,
    calls: usize,
}

/// A running double. It ends when it is dropped.
#[derive(Debug)]
pub struct Double {
    inner: Arc<Inner>,
    endpoint: String,
    server: JoinHandle<()>,
}

impl Double {
    /// Starts one on a free port of 127.0.0.1, with `clock` for the service's time.
    pub async fn start(clock: Arc<dyn Clock>) -> Self {
        let inner =
            Arc::new(Inner { clock, taken: Mutex::default(), refused: Mutex::default(), troubles: Mutex::default() });
        let routes = Router::new()
            .route("/service/{service}/operation/{operation}", post(put_metric_data))
            .layer(DefaultBodyLimit::max(16 << 20))
            .with_state(Arc::clone(&inner));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self { inner, endpoint, server }
    }

    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The calls that were taken so far.
    pub fn puts(&self) -> Vec<Put> {
        self.inner.taken.lock().unwrap().clone()
    }

    /// The data of all calls that were taken.
    pub fn data(&self) -> Vec<PutDatum> {
        self.puts().into_iter().flat_map(|p| p.data).collect()
    }

    /// What was found wrong with calls, in the order of the calls.
    pub fn refusals(&self) -> Vec<Refusal> {
        self.inner.refused.lock().unwrap().clone()
    }

    /// Calls so far, whatever became of them.
    pub fn calls(&self) -> usize {
        self.inner.troubles.lock().unwrap().calls
    }

    /// The next calls end like this.
    pub fn trouble(&self, next: &[Trouble]) {
        self.inner.troubles.lock().unwrap().next.extend(next);
    }

    /// From now on every call ends like this, or none.
    pub fn always(&self, trouble: Option<Trouble>) {
        self.inner.troubles.lock().unwrap().always = trouble;
    }

    /// From now on so many calls in 100 fail, in one way or another.
    pub fn percent(&self, seed: u64, percent: u32) {
        self.inner.troubles.lock().unwrap().random = Some((SmallRng::seed_from_u64(seed), percent));
    }
}

impl Drop for Double {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Troubles {
    fn of_this_call(&mut self) -> Option<Trouble> {
        use Trouble::{InternalServiceFault, LostAnswer, Throttling, Unavailable};
        self.calls += 1;
        if let Some(trouble) = self.always.or_else(|| self.next.pop_front()) {
            return Some(trouble);
        }
        let (rng, percent) = self.random.as_mut()?;
        let kinds = [Throttling, InternalServiceFault, Unavailable, LostAnswer];
        (rng.random_range(0..100) < *percent).then(|| kinds[rng.random_range(0..kinds.len())])
    }
}

async fn put_metric_data(
    State(inner): State<Arc<Inner>>,
    Path((service, operation)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let trouble = inner.troubles.lock().unwrap().of_this_call();
    match trouble {
        Some(Trouble::Silence) => std::future::pending().await,
        Some(Trouble::Throttling) => return refuse(400, "Throttling", "Rate exceeded"),
        Some(Trouble::InternalServiceFault) => return internal_fault(),
        Some(Trouble::Unavailable) => return (StatusCode::SERVICE_UNAVAILABLE, "try later").into_response(),
        Some(Trouble::AccessDenied) => return refuse(403, "AccessDenied", "not authorized to perform PutMetricData"),
        Some(Trouble::LostAnswer) | None => {}
    }
    if (service.as_str(), operation.as_str()) != ("GraniteServiceVersion20100801", "PutMetricData") {
        return refuse(404, "UnknownOperationException", &format!("{service} {operation}"));
    }
    match judge(&headers, &body, inner.clock.now().div_euclid(1_000)) {
        Ok(put) => {
            inner.taken.lock().unwrap().push(put);
            match trouble {
                None => (StatusCode::OK, PROTOCOL).into_response(),
                Some(_) => internal_fault(),
            }
        }
        Err((code, message)) => {
            let answer = refuse(if code == "RequestEntityTooLarge" { 413 } else { 400 }, code, &message);
            inner.refused.lock().unwrap().push((code, message));
            answer
        }
    }
}

const PROTOCOL: [(&str, &str); 2] = [("smithy-protocol", "rpc-v2-cbor"), ("content-type", "application/cbor")];

fn internal_fault() -> Response {
    refuse(500, "InternalServiceError", "internal")
}

/// An error in the service's protocol. The older code is in a header of its own, as the service was an AWS-query one.
fn refuse(status: u16, code: &str, message: &str) -> Response {
    let fault = if status >= 500 { "Receiver" } else { "Sender" };
    let body = Value::Map(vec![
        ("__type".into(), format!("com.amazonaws.cloudwatch#{code}").into()),
        ("message".into(), message.into()),
    ]);
    let mut bytes = Vec::new();
    ciborium::into_writer(&body, &mut bytes).unwrap();
    let query = [("x-amzn-query-error", format!("{code};{fault}"))];
    (StatusCode::from_u16(status).unwrap(), PROTOCOL, query, bytes).into_response()
}

/// Reads a request, and finds what the service would find wrong with it.
fn judge(headers: &HeaderMap, body: &[u8], now_millis: i64) -> Result<Put, Refusal> {
    let header = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default();
    if header("smithy-protocol") != "rpc-v2-cbor" || header("content-type") != "application/cbor" {
        return Err(("UnknownOperationException", "not rpc-v2-cbor".to_owned()));
    }
    if !header("authorization").starts_with("AWS4-HMAC-SHA256 ") || !header("authorization").contains("/monitoring/") {
        return Err(("MissingAuthenticationToken", "not signed for monitoring".to_owned()));
    }
    let compressed = header("content-encoding") == "gzip";
    let mut plain = Vec::new();
    match compressed {
        true => flate2::read::GzDecoder::new(body).read_to_end(&mut plain).map(drop),
        false => plain.write_all(body),
    }
    .map_err(|e| invalid(e.to_string()))?;
    if body.len().max(plain.len()) > REQUEST_BYTES_MAX {
        return Err(("RequestEntityTooLarge", format!("{} bytes", plain.len())));
    }
    let request: Value = ciborium::from_reader(plain.as_slice()).map_err(|e| invalid(e.to_string()))?;
    let request = members(&request)?;
    let namespace = request.get("Namespace").ok_or(("MissingParameter", "Namespace is required".to_owned()))?;
    let namespace = name("Namespace", namespace)?;
    if namespace.starts_with("AWS/") {
        return Err(invalid("The value AWS/ for parameter Namespace is invalid"));
    }
    let data = request.get("MetricData").and_then(|d| d.as_array()).map_or(&[][..], Vec::as_slice);
    if data.is_empty() || data.len() > 1_000 {
        return Err(invalid(format!("The collection MetricData must have 1 to 1000 items, not {}", data.len())));
    }
    let data = data.iter().map(|d| datum(d, now_millis)).collect::<Result<_, _>>()?;
    Ok(Put { namespace, data, bytes: plain.len(), compressed })
}
