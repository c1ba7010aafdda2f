//! The document that describes the interface, from the handlers themselves.

use std::sync::Arc;

use axum::{Extension, response::Response};
use serde::Serialize;
use utoipa::{
    OpenApi, ToSchema,
    openapi::{
        Content, Ref, RefOr, ResponseBuilder,
        path::Operation,
        security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
    },
};

use super::{json::written, problem::Refusal};

const TOKEN: &str = "token";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "coldwatch",
        description = "Power and thermal monitor for liquid-cooled data centres: what the gateway sees, and what operators \
                       do about it. Over the network every request but /healthz carries a token; on the Unix socket \
                       the gateway knows who asks. Roles: viewer looks, operator acts on alarms, admin also reloads the \
                       configuration. coldwatch is not a safety system and not a leak interlock.",
    ),
    components(schemas(Refusal)),
    tags(
        (name = "site", description = "What the gateway sees now."),
        (name = "past", description = "What it has seen."),
        (name = "commands", description = "What operators do."),
        (name = "health", description = "How the gateway itself is."),
    ),
)]
struct Document;

/// Everything that a client needs to begin. Updates of the stream with numbers above `seq` belong on top of it.
#[derive(ToSchema, Serialize)]
pub(super) struct Snapshot {
    /// Version of the messages; within one, members are only added.
    schema: u32,
    /// The run of the gateway.
    boot: u64,
    /// The last change contained.
    seq: u64,
    /// The instant: `mono` in microseconds of this run, `wall` in UTC with how far it is trusted.
    #[schema(value_type = Object)]
    at: (),
    #[schema(value_type = Object)]
    site: (),
    /// Assets, edges and points. Points and assets are numbered by their place in these lists.
    #[schema(value_type = Object)]
    plant: (),
    /// One for each point, in the order of the plant.
    readings: Vec<Reading>,
    alarms: Vec<Alarm>,
    /// The state of every device on its link.
    #[schema(value_type = Vec<Object>)]
    links: (),
    /// The newest journal lines, newest last.
    #[schema(value_type = Vec<Object>)]
    events: (),
    /// The last closed interval of every meter.
    #[schema(value_type = Vec<Object>)]
    ledger: (),
    /// How the gateway itself is doing.
    #[schema(value_type = Object)]
    health: (),
}

/// What is known of a point: either a value or the reason why there is none, and since when.
#[derive(ToSchema, Serialize)]
pub(super) struct Reading {
    /// A number in the point's unit, a text, `{"integer":7}` or `{"state":2}`.
    #[schema(value_type = Option<Object>)]
    value: (),
    /// `timeout`, `stale`, `never_seen`, …
    #[schema(value_type = Option<Object>)]
    missing: (),
    /// Microseconds of this run.
    at: Option<u64>,
}

/// One alarm: a rule on an asset.
#[derive(ToSchema, Serialize)]
pub(super) struct Alarm {
    #[schema(example = "cdu.supply_hi@cdu-2")]
    name: String,
    /// The number of its asset.
    asset: Option<u32>,
    /// ISA-18.2: A normal, B active, C active and acknowledged, D returned, E shelved, F suppressed, G out of service, BL
    /// and CL latched.
    letter: String,
    /// The condition cannot be judged now.
    unknown: bool,
    /// 1 (act within 10 minutes) to 4 (plan).
    priority: u8,
    occurrence: u32,
    title: String,
    consequence: String,
    action: String,
    expression: String,
    rule_file: String,
    operands: String,
    active_since: Option<u64>,
    acknowledged_by: Option<String>,
}

pub(super) fn document() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

/// Adds what every operation has in common: the credential, and how it is refused.
pub(super) fn complete(document: &mut utoipa::openapi::OpenApi) {
    let scheme = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some(
            "The token of a user of the site file's [api], or of the file named token beside the gateway's data.",
        ))
        .build();
    if let Some(components) = &mut document.components {
        components.add_security_scheme(TOKEN, SecurityScheme::Http(scheme));
    }
    document.security = Some(vec![SecurityRequirement::new(TOKEN, Vec::<String>::new())]);
    for item in document.paths.paths.values_mut() {
        for operation in [&mut item.get, &mut item.post].into_iter().flatten() {
            refuse(operation);
        }
    }
}

fn refuse(operation: &mut Operation) {
    let is_open = operation.security.is_some();
    let refusals = [
        ("401", "No credential, or one that is not known here.", !is_open),
        ("403", "The role does not allow it, or a web page of another origin asks.", true),
        ("421", "The Host header does not name this gateway.", true),
        ("503", "The gateway is stopping, or cannot store anything now.", !is_open),
        ("504", "The answer took too long.", true),
    ];
    for (status, description, applies) in refusals {
        if applies && !operation.responses.responses.contains_key(status) {
            operation.responses.responses.insert(status.to_owned(), RefOr::T(refusal(description)));
        }
    }
}

fn refusal(description: &str) -> utoipa::openapi::Response {
    let body = Content::new(Some(Ref::from_schema_name("Refusal")));
    ResponseBuilder::new().description(description).content("application/json", body).build()
}

/// The document as it is sent.
#[derive(Clone)]
pub(super) struct Written(Arc<str>);

impl Written {
    pub(super) fn new(document: &utoipa::openapi::OpenApi) -> Self {
        // Made of our own types, it can always be written.
        Self(document.to_json().unwrap_or_default().into())
    }
}

/// This document.
#[utoipa::path(
    get,
    path = "/api/v1/openapi.json",
    tag = "health",
    responses((status = 200, description = "OpenAPI 3.1.", body = Object)),
)]
pub(super) async fn openapi(Extension(document): Extension<Written>) -> Response {
    written(document.0.to_string())
}
