//! What the interface counts of itself.

use axum::http::{Method, StatusCode};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    method: String,
    route: String,
    code: u16,
}

/// What the interface counts of itself.
#[derive(Clone, Default)]
pub(super) struct Counters {
    requests: Family<Answered, Counter>,
    streams: Gauge,
}

/// An open stream, counted until it is dropped.
pub(super) struct OpenStream(Gauge);

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Counters {
    /// For one answer to Prometheus.
    pub(super) fn register(self, registry: &mut Registry) {
        registry.register("coldwatch_api_requests", "Requests answered", self.requests);
        registry.register("coldwatch_api_streams", "Streams that are open", self.streams);
    }

    pub(super) fn stream(&self) -> OpenStream {
        self.streams.inc();
        OpenStream(self.streams.clone())
    }

    /// `route` is a pattern of ours, never what a client wrote.
    pub(super) fn count(&self, method: &Method, route: &str, status: StatusCode) {
        // Anybody can make up a method.
        let known = [Method::GET, Method::POST, Method::HEAD, Method::PUT, Method::DELETE];
        let method = if known.contains(method) { method.as_str() } else { "other" };
        let labels =
            Answered { method: method.to_owned(), route: route.to_owned(), code: status.as_u16() };
        self.requests.get_or_create(&labels).inc();
    }
}
