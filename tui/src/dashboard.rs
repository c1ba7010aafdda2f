//! The loop around the screen: hear the gateway, hear the keys, draw when there is something new.

use std::{
    io::{self, IsTerminal},
    pin::pin,
    time::Duration,
};

use crossterm::event::{Event, EventStream};
use futures_util::StreamExt;
use rules::messages::{Action as Wish, Feed};
use thiserror::Error;
use tokio::{
    runtime::Handle,
    signal::unix::{Signal, SignalKind, signal},
    task::{JoinError, spawn_blocking},
    time::{Instant, MissedTickBehavior, interval},
};

use crate::{
    commands::Commands,
    keymap,
    looks::Looks,
    model::Applied,
    source::{News, Source},
    state::{Action, Connection, State},
    terminal::Guard,
    view,
};

/// Figures are redrawn this often at most; alarms and keys at once.
const FRAME_EVERY: Duration = Duration::from_millis(500);

/// Without any update for so long, every value on the screen is marked as old.
const SILENCE: Duration = Duration::from_secs(3);

/// Who sits before the screen, and what the screen can do.
#[derive(Clone, Debug)]
pub struct Options {
    pub looks: Looks,
    /// Whose name stands on acknowledgements; `None`: may only look.
    pub operator: Option<String>,
}

/// Why the dashboard could not go on.
#[derive(Debug, Error)]
pub enum TuiError {
    #[error("standard output is not a terminal")]
    NotATerminal,
    #[error("the terminal failed")]
    Terminal(#[from] io::Error),
    #[error("the dashboard crashed")]
    Crashed(#[source] JoinError),
}

/// Shows the dashboard until the operator quits, a signal ends it, or `end` is there. It runs on a thread of its own: a terminal that
/// takes its time (a slow line, a stopped screen) keeps nobody waiting. Needs a tokio runtime with time and I/O.
pub async fn run(
    source: Source,
    options: Options,
    end: impl Future<Output = ()> + Send + 'static,
) -> Result<(), TuiError> {
    if !io::stdout().is_terminal() {
        return Err(TuiError::NotATerminal);
    }
    let runtime = Handle::current();
    let dashboard = spawn_blocking(move || runtime.block_on(show(source, options, end)));
    dashboard.await.map_err(TuiError::Crashed)?
}

/// What woke the loop.
enum Heard {
    Gateway(Option<News>),
    Key(Option<io::Result<Event>>),
    Frame,
    Stop,
}

async fn show(
    mut source: Source,
    options: Options,
    end: impl Future<Output = ()>,
) -> Result<(), TuiError> {
    let mut end = pin!(end);
    let mut stop = Stop::new()?;
    let mut screen = Guard::take()?;
    let mut keys = EventStream::new();
    let mut frames = interval(FRAME_EVERY);
    frames.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut dashboard = Dashboard {
        state: State::new(source.snapshot, options.looks, options.operator),
        commands: Commands::new(source.commands),
        heard_at: Instant::now(),
    };
    let mut closed = false;
    // Nothing is drawn when nothing changed.
    let mut draw = Draw::Now;
    loop {
        if draw == Draw::Now {
            screen.terminal.draw(|frame| view::draw(frame, &dashboard.state))?;
            draw = Draw::Nothing;
        }
        let heard = tokio::select! {
            biased;
            () = stop.wait() => Heard::Stop,
            () = &mut end => Heard::Stop,
            key = keys.next() => Heard::Key(key),
            news = source.news.recv(), if !closed => Heard::Gateway(news),
            _ = frames.tick() => Heard::Frame,
        };
        let next = match heard {
            Heard::Stop | Heard::Key(None) => return Ok(()),
            Heard::Key(Some(event)) => match dashboard.press(&event?) {
                Some(Action::Quit) => return Ok(()),
                Some(Action::Redraw) => {
                    screen.terminal.clear()?;
                    Draw::Now
                }
                Some(Action::Send(_)) | None => Draw::Now,
            },
            Heard::Gateway(news) => {
                closed = news.is_none();
                dashboard.hear(news)
            }
            Heard::Frame if dashboard.listen() || draw == Draw::Soon => Draw::Now,
            Heard::Frame => Draw::Nothing,
        };
        draw = draw.max(next);
    }
}

/// How urgently the screen has to be drawn.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Draw {
    Nothing,
    /// With the next regular frame.
    Soon,
    Now,
}

/// Everything but the terminal.
struct Dashboard {
    state: State,
    commands: Commands,
    heard_at: Instant,
}

impl Dashboard {
    fn press(&mut self, event: &Event) -> Option<Action> {
        let Event::Key(key) = event else { return None };
        let cmd = keymap::command(*key, self.state.context())?;
        let action = self.state.update(cmd);
        if let Some(Action::Send(wishes)) = &action {
            self.send(wishes);
        }
        action
    }

    fn send(&mut self, wishes: &[Wish]) {
        let Some(by) = self.state.operator() else { return };
        if let Some(trouble) = self.commands.send(wishes, by) {
            self.state.notice = Some(trouble);
        }
    }

    fn hear(&mut self, news: Option<News>) -> Draw {
        match news {
            None => {
                self.state.connection = Connection::Closed;
                Draw::Now
            }
            Some(News::Lost(lost)) => {
                self.state.lose(lost);
                Draw::Now
            }
            Some(News::Answered { key, answer }) => {
                let state = &self.state;
                let name = |alarm: &str| state.live().alarm_title(alarm);
                if let Some(said) = self.commands.answered(&key, answer, name) {
                    self.state.notice = Some(said);
                }
                Draw::Now
            }
            Some(News::Feed(feed)) => {
                self.heard_at = Instant::now();
                self.state.unheard = Duration::ZERO;
                self.follow(feed)
            }
        }
    }

    fn follow(&mut self, feed: Feed) -> Draw {
        match feed {
            Feed::Snapshot(snapshot) => {
                self.state.replace(*snapshot);
                Draw::Now
            }
            Feed::Update(update) => match self.state.apply(update) {
                Applied::Alarms => Draw::Now,
                Applied::Figures => Draw::Soon,
                Applied::Old => Draw::Nothing,
                // The gateway sends a new snapshot to a client that fell behind; until then nothing shown is sure.
                Applied::Gap => {
                    self.state.connection = Connection::Resync;
                    Draw::Soon
                }
            },
        }
    }

    /// Notices silence, and counts how long it lasts; true when that changed the screen.
    fn listen(&mut self) -> bool {
        let unheard = self.heard_at.elapsed();
        if unheard <= SILENCE && self.state.connection == Connection::Live {
            return false;
        }
        if self.state.connection == Connection::Live {
            self.state.connection = Connection::Silent;
        }
        let (shown, now) = (self.state.unheard.as_secs(), unheard.as_secs());
        self.state.unheard = unheard;
        shown != now
    }
}

/// The signals that end a program with a screen. Ctrl-C is a key here, because the terminal is in raw mode.
struct Stop {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Stop {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    async fn wait(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            _ = self.hang_up.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use chrono::DateTime;
    use rules::{
        messages::{Command, Health, Outcome, SCHEMA, SiteInfo, Snapshot, Update},
        plant::Plant,
        time::{BootId, Mono, Now, Trust, Wall},
    };
    use tokio::sync::mpsc;

    use super::*;
    use crate::{
        screen::Screen,
        source::{Answer, Lost},
    };

    const AT: Now = Now {
        mono: Mono::from_secs(60),
        wall: Wall { utc: DateTime::UNIX_EPOCH, trust: Trust::Untrusted },
    };

    fn snapshot(seq: u64) -> Snapshot {
        Snapshot {
            schema: SCHEMA,
            boot: BootId(1),
            seq,
            at: AT,
            site: SiteInfo {
                id: "empty".to_owned(),
                name: "Empty".to_owned(),
                time_zone: "UTC".to_owned(),
                gateway: "gw".to_owned(),
                simulated: true,
            },
            plant: Arc::new(Plant::default()),
            readings: Vec::new(),
            alarms: Vec::new(),
            links: Vec::new(),
            events: Vec::new(),
            ledger: Vec::new(),
            health: Health::default(),
        }
    }

    fn dashboard() -> (Dashboard, mpsc::Receiver<Command>) {
        let (queue, sent) = mpsc::channel(1);
        let state = State::new(snapshot(1), Looks::PLAIN, Some("zhao".to_owned()));
        let commands = Commands::new(queue);
        (Dashboard { state, commands, heard_at: Instant::now() }, sent)
    }

    fn update(seq: u64) -> News {
        News::Feed(Feed::Update(Update { seq, at: AT, changes: Vec::new() }))
    }

    #[test]
    fn after_a_missed_update_only_a_snapshot_makes_the_picture_live_again() {
        let (mut dashboard, _sent) = dashboard();
        assert!(dashboard.hear(Some(update(2))) == Draw::Soon);
        dashboard.hear(Some(update(4)));
        assert_eq!(dashboard.state.connection, Connection::Resync);
        dashboard.hear(Some(update(5)));
        assert_eq!(dashboard.state.connection, Connection::Resync);
        dashboard.hear(Some(News::Feed(Feed::Snapshot(Box::new(snapshot(5))))));
        dashboard.hear(Some(update(6)));
        assert_eq!(
            (&dashboard.state.connection, dashboard.state.live().seq),
            (&Connection::Live, 6)
        );
    }

    #[test]
    fn a_gateway_that_is_gone_is_said_at_once() {
        let (mut dashboard, _sent) = dashboard();
        assert!(dashboard.hear(None) == Draw::Now);
        assert_eq!(dashboard.state.connection, Connection::Closed);
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_noticed_and_forgiven() {
        let (mut dashboard, _sent) = dashboard();
        tokio::time::advance(SILENCE).await;
        assert!(!dashboard.listen());
        tokio::time::advance(FRAME_EVERY).await;
        assert!(dashboard.listen() && !dashboard.listen(), "said once");
        assert_eq!(dashboard.state.connection, Connection::Silent);
        dashboard.hear(Some(update(2)));
        assert_eq!(dashboard.state.connection, Connection::Live);
    }

    #[test]
    fn a_command_carries_the_operator_and_its_answer_is_shown() {
        let (mut dashboard, mut sent) = dashboard();
        let wish = Wish::Ack { alarm: "x".into(), occurrence: Some(1) };
        dashboard.send(std::slice::from_ref(&wish));
        let command = sent.try_recv().unwrap();
        assert_eq!((command.by.as_str(), &command.action), ("zhao", &wish));
        let answer = Answer::Decided(Outcome::Rejected { why: "it is over".to_owned() });
        dashboard.hear(Some(News::Answered { key: command.key, answer }));
        assert_eq!(dashboard.state.notice.as_deref(), Some("refused: x: it is over"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_connection_is_said_at_once_counted_and_forgiven() {
        let (mut dashboard, _sent) = dashboard();
        dashboard.state.screen = Screen::Racks;
        let lost = Lost { why: "the connection broke".to_owned(), attempts: 0 };
        assert!(dashboard.hear(Some(News::Lost(lost))) == Draw::Now);
        assert!(matches!(dashboard.state.connection, Connection::Lost(_)));
        tokio::time::advance(Duration::from_secs(35)).await;
        assert!(dashboard.listen() && !dashboard.listen(), "once a second");
        assert_eq!(dashboard.state.unheard.as_secs(), 35);
        dashboard.hear(Some(update(2)));
        assert_eq!(dashboard.state.connection, Connection::Live);
        assert_eq!(dashboard.state.notice.as_deref(), Some("connected again"));
        assert_eq!(dashboard.state.screen, Screen::Racks);
    }

    #[test]
    fn another_run_of_the_gateway_is_said() {
        let (mut dashboard, _sent) = dashboard();
        let restarted = Snapshot { boot: BootId(2), ..snapshot(1) };
        dashboard.hear(Some(News::Feed(Feed::Snapshot(Box::new(restarted)))));
        assert_eq!(dashboard.state.connection, Connection::Live);
        assert!(dashboard.state.notice.as_deref().unwrap().contains("restarted"));
    }
}
