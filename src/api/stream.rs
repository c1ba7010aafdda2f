//! The change stream: one WebSocket a client.
//!
//! The first frame is a [`Greeting`], every further one a [`Feed`]: a snapshot, unless the stream goes on where the client
//! left off, and then updates as they come. The client says nothing; pings are answered both ways.

use std::{sync::Arc, time::Duration};

use axum::{
    Extension,
    extract::{
        Query, State,
        rejection::QueryRejection,
        ws::{
            CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code,
            rejection::WebSocketUpgradeRejection,
        },
    },
    response::Response,
};
use rules::{
    messages::{Feed, Greeting, SCHEMA, Snapshot},
    plant::Plant,
    time::BootId,
};
use serde::Deserialize;
use tokio::{
    task::spawn_blocking,
    time::{Instant, MissedTickBehavior, interval_at},
};
use utoipa::IntoParams;
use wildmatch::WildMatch;

use super::{
    doors::Connection,
    hub::{LAG_MAX, Next, Place},
    problem::Problem,
    state::App,
};

/// A client is asked for a sign of life this often …
const PING_EVERY: Duration = Duration::from_secs(20);
/// … and is gone when it gave none for this long.
const SILENCE_MAX: Duration = Duration::from_mins(1);
/// Clients say nothing of any length.
const MESSAGE_BYTES_MAX: usize = 4096;
const GLOBS_MAX: usize = 100;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// The last change that the client has, of the run `boot`. Without it, or where the gateway no longer has what
    /// follows, the stream begins with a snapshot.
    since: Option<u64>,
    /// The run of the gateway that `since` belongs to, as the greeting and every snapshot give it.
    boot: Option<u64>,
    /// Readings of which points to tell after the snapshot: patterns with * and ?, separated by commas. Everything else
    /// is always told. Without it, all.
    #[param(example = "cdu-*.tcs.*,rack-07.power")]
    points: Option<String>,
}

/// Follow the site: a snapshot, then changes.
#[utoipa::path(
    get,
    path = "/api/v1/stream",
    tag = "site",
    params(Wanted),
    responses((
        status = 101,
        description = "A WebSocket. The first text frame is {\"hello\":{schema, boot, seq, resumed}}, each further one \
                       {\"snapshot\":…} or {\"update\":{seq, at, changes}}. A client that cannot keep up gets a \
                       snapshot instead of what it missed."
    )),
)]
pub(super) async fn stream(
    State(app): State<App>,
    Extension(connection): Extension<Connection>,
    wanted: Result<Query<Wanted>, QueryRejection>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let Query(wanted) = wanted?;
    let globs = wanted.points.as_deref().map(read_globs).transpose()?;
    let upgrade = upgrade.map_err(|rejection| {
        Problem::new(rejection.status(), rejection.body_text(), "connect with a WebSocket client")
    })?;
    let session = Session { app: app.clone(), globs, plant: None, wanted: None };
    let since = wanted.boot.map(BootId).zip(wanted.since);
    Ok(upgrade.max_message_size(MESSAGE_BYTES_MAX).max_frame_size(MESSAGE_BYTES_MAX).on_upgrade(
        async move |socket| {
            // It keeps its place among the connections as long as it lives.
            let _place = connection.place;
            let _counted = app.counters.stream();
            let serving = session.serve(socket, since);
            app.tasks.track_future(serving).await;
        },
    ))
}

/// Patterns separated by commas.
pub(super) fn read_globs(text: &str) -> Result<Vec<WildMatch>, Problem> {
    let globs: Vec<WildMatch> = text
        .split(',')
        .map(str::trim)
        .filter(|glob| !glob.is_empty())
        .map(WildMatch::new)
        .take(GLOBS_MAX + 1)
        .collect();
    if globs.is_empty() || globs.len() > GLOBS_MAX {
        return Err(Problem::new(
            axum::http::StatusCode::BAD_REQUEST,
            format!("points holds no pattern, or more than {GLOBS_MAX}"),
            "write points=cdu-*.tcs.*,rack-07.power",
        ));
    }
    Ok(globs)
}

/// One client.
struct Session {
    app: App,
    globs: Option<Vec<WildMatch>>,
    /// For which `wanted` was made.
    plant: Option<Arc<Plant>>,
    /// By point; `None`: every one.
    wanted: Option<Vec<bool>>,
}

/// The stream is over: the client is gone, or the gateway is.
struct Over;

impl Session {
    async fn serve(mut self, mut socket: WebSocket, since: Option<(BootId, u64)>) {
        let stop = self.app.stop.clone();
        let end = tokio::select! {
            end = self.talk(&mut socket, since) => end,
            () = stop.cancelled() => Err(Over),
        };
        if let Err(Over) = end {
            let frame = CloseFrame {
                code: close_code::AWAY,
                reason: Utf8Bytes::from_static("the gateway is stopping, or the client is silent"),
            };
            // A client that is gone misses no farewell.
            let _ = socket.send(Message::Close(Some(frame))).await;
        }
    }

    async fn talk(
        &mut self,
        socket: &mut WebSocket,
        since: Option<(BootId, u64)>,
    ) -> Result<(), Over> {
        let mut news = self.app.hub.news();
        let (boot, newest) = loop {
            news.borrow_and_update();
            match self.app.hub.newest() {
                Some(newest) => break newest,
                None => news.changed().await.map_err(|_| Over)?,
            }
        };
        let resumed = since.and_then(|(boot, seq)| self.app.hub.find(boot, seq));
        let hello =
            Greeting::Hello { schema: SCHEMA, boot, seq: newest.seq, resumed: resumed.is_some() };
        send(socket, serde_json::to_string(&hello).map_err(|_| Over)?.into()).await?;
        let mut place = match resumed {
            // However far back: it is bounded by the ring, and cheaper than a snapshot.
            Some((place, plant)) => {
                self.choose(&plant);
                self.advance(socket, place, usize::MAX).await?
            }
            None => self.begin_anew(socket).await?,
        };
        let mut pings = interval_at(Instant::now() + PING_EVERY, PING_EVERY);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard = Instant::now();
        loop {
            tokio::select! {
                told = news.changed() => {
                    told.map_err(|_| Over)?;
                    place = self.advance(socket, place, LAG_MAX).await?;
                }
                message = socket.recv() => match message {
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return Ok(()),
                    Some(Ok(_)) => heard = Instant::now(),
                },
                _ = pings.tick() => {
                    if heard.elapsed() > SILENCE_MAX {
                        return Err(Over);
                    }
                    socket.send(Message::Ping(axum::body::Bytes::new())).await.map_err(|_| Over)?;
                }
            }
        }
    }

    /// Tells what follows a place, or begins anew where that is too much.
    async fn advance(
        &mut self,
        socket: &mut WebSocket,
        place: Place,
        limit: usize,
    ) -> Result<Place, Over> {
        let frames = match self.app.hub.after(place, limit) {
            Next::Frames(frames) => frames,
            Next::Lost => return self.begin_anew(socket).await,
        };
        let mut place = place;
        for frame in frames {
            send(socket, frame.text(self.wanted.as_deref())).await?;
            place.seq = frame.seq;
        }
        Ok(place)
    }

    async fn begin_anew(&mut self, socket: &mut WebSocket) -> Result<Place, Over> {
        // Read before the snapshot is made: a ring that begins anew in between is noticed.
        let round = self.app.hub.round();
        let attached = self.app.port.attach().await.ok_or(Over)?;
        // What follows comes from the ring.
        drop(attached.feed);
        let place = Place { round, seq: attached.snapshot.seq };
        self.choose(&attached.snapshot.plant);
        let text = write(attached.snapshot).await?;
        send(socket, text).await?;
        Ok(place)
    }

    /// Which points are wanted, in the numbers of this plant.
    fn choose(&mut self, plant: &Arc<Plant>) {
        let Some(globs) = &self.globs else { return };
        if self.plant.as_ref().is_some_and(|known| Arc::ptr_eq(known, plant)) {
            return;
        }
        let is_wanted = |name: String| globs.iter().any(|glob| glob.matches(&name));
        self.wanted = Some(plant.point_ids().map(|id| is_wanted(plant.point_name(id))).collect());
        self.plant = Some(Arc::clone(plant));
    }
}

/// A snapshot of a large site takes a while to write, which is not for the threads that serve everybody.
async fn write(snapshot: Snapshot) -> Result<Utf8Bytes, Over> {
    let feed = Feed::Snapshot(Box::new(snapshot));
    let text = spawn_blocking(move || serde_json::to_string(&feed)).await.map_err(|_| Over)?;
    Ok(text.map_err(|_| Over)?.into())
}

async fn send(socket: &mut WebSocket, text: Utf8Bytes) -> Result<(), Over> {
    socket.send(Message::Text(text)).await.map_err(|_| Over)
}
