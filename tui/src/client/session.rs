//! A stream that comes back, and commands that are delivered once.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    sync::Arc,
    time::Duration,
};

use links::backoff::Backoff;
use rules::messages::{Command, Feed};
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, sleep, timeout_at},
};

use super::{
    Client,
    error::ClientError,
    stream::{Place, Stream},
};
use crate::source::{Answer, COMMANDS_QUEUED, Lost, News, Source};

/// The longest wait between two attempts to connect.
const RETRY_CEILING: Duration = Duration::from_secs(5);

/// A command whose answer was lost is sent again for so long: a restart of the gateway is shorter.
const COMMAND_PATIENCE: Duration = Duration::from_secs(20);

/// Commands on their way at once.
const COMMANDS_AT_ONCE: usize = 8;

/// What the dashboard has not looked at yet. While it is full the gateway waits, and sends a snapshot in the end.
const NEWS_QUEUED: usize = 16;

/// Gets the first picture, then keeps it up to date until the source is dropped.
pub(super) async fn start(client: Client) -> Result<Source, ClientError> {
    let mut stream = Stream::open(&client, None).await?;
    let Feed::Snapshot(snapshot) = stream.next().await? else {
        return Err(ClientError::Garbled("the stream does not begin with a snapshot".to_owned()));
    };
    let (to_dashboard, news) = mpsc::channel(NEWS_QUEUED);
    let (commands, asked) = mpsc::channel(COMMANDS_QUEUED);
    let place = Place { boot: snapshot.boot, seq: snapshot.seq };
    let client = Arc::new(client);
    let session = Session { client: Arc::clone(&client), news: to_dashboard.clone(), place };
    tokio::spawn(session.follow(stream));
    tokio::spawn(deliver(client, asked, to_dashboard));
    Ok(Source { snapshot: *snapshot, news, commands })
}

/// Half of a session: what comes from the gateway.
struct Session {
    client: Arc<Client>,
    news: mpsc::Sender<News>,
    /// Up to where the dashboard was told.
    place: Place,
}

/// Why a stream is over.
enum End {
    /// Nobody listens any more.
    Unheard,
    Broken(ClientError),
    /// Something is missing in it: only a snapshot helps.
    Gap,
}

impl Session {
    async fn follow(mut self, mut stream: Stream) {
        let mut backoff = Backoff::with_ceiling(random(), RETRY_CEILING);
        loop {
            let end = self.pass_on(&mut stream, &mut backoff).await;
            drop(stream);
            let (resume, why) = match end {
                End::Unheard => return,
                End::Broken(error) => (Some(self.place), error.brief()),
                End::Gap => (None, "an update is missing".to_owned()),
            };
            stream = match self.reopen(resume, why, &mut backoff).await {
                Some(stream) => stream,
                None => return,
            };
        }
    }

    async fn pass_on(&mut self, stream: &mut Stream, backoff: &mut Backoff) -> End {
        loop {
            let next = tokio::select! {
                next = stream.next() => next,
                () = self.news.closed() => return End::Unheard,
            };
            let feed = match next {
                Ok(feed) => feed,
                Err(error) => return End::Broken(error),
            };
            // A gateway that lets us in and then says nothing is not alive yet.
            backoff.reset();
            match &feed {
                Feed::Snapshot(snapshot) => {
                    self.place = Place { boot: snapshot.boot, seq: snapshot.seq };
                }
                Feed::Update(update)
                    if stream.boot != self.place.boot || update.seq > self.place.seq + 1 =>
                {
                    return End::Gap;
                }
                Feed::Update(update) => self.place.seq = self.place.seq.max(update.seq),
            }
            if self.news.send(News::Feed(feed)).await.is_err() {
                return End::Unheard;
            }
        }
    }

    /// Tries until it is there again; `None` when nobody listens any more.
    async fn reopen(
        &self,
        resume: Option<Place>,
        why: String,
        backoff: &mut Backoff,
    ) -> Option<Stream> {
        let mut lost = Lost { why, attempts: 0 };
        loop {
            self.news.send(News::Lost(lost.clone())).await.ok()?;
            tokio::select! {
                () = sleep(backoff.after_failure()) => {}
                () = self.news.closed() => return None,
            }
            let opened = tokio::select! {
                opened = Stream::open(&self.client, resume) => opened,
                () = self.news.closed() => return None,
            };
            match opened {
                Ok(stream) => return Some(stream),
                Err(error) => {
                    lost = Lost { why: error.brief(), attempts: lost.attempts.saturating_add(1) };
                }
            }
        }
    }
}

/// The other half: what goes to the gateway. Ends with the dashboard; what is on its way then is given up.
async fn deliver(
    client: Arc<Client>,
    mut asked: mpsc::Receiver<Command>,
    news: mpsc::Sender<News>,
) {
    let mut under_way = JoinSet::new();
    loop {
        tokio::select! {
            command = asked.recv(), if under_way.len() < COMMANDS_AT_ONCE => {
                let Some(command) = command else { return };
                let (client, news) = (Arc::clone(&client), news.clone());
                under_way.spawn(async move {
                    let answer = deliver_one(&client, &command).await;
                    // Without a dashboard there is nobody to tell.
                    let _ = news.send(News::Answered { key: command.key, answer }).await;
                });
            }
            Some(_) = under_way.join_next() => {}
        }
    }
}

/// Sends a command until it is answered. Only a first attempt that was not delivered leaves no doubt; after that the key
/// sees to it that it acts once.
async fn deliver_one(client: &Client, command: &Command) -> Answer {
    let deadline = Instant::now() + COMMAND_PATIENCE;
    let mut backoff = Backoff::with_ceiling(random(), RETRY_CEILING);
    let mut unanswered: Option<String> = None;
    loop {
        match timeout_at(deadline, client.command(command)).await {
            Ok(Ok(Answer::Unanswered { why })) => unanswered = Some(why),
            Ok(Ok(answer)) => return answer,
            Ok(Err(error)) if unanswered.is_none() => {
                return Answer::NotTaken { why: error.brief() };
            }
            Ok(Err(_)) | Err(_) => {}
        }
        let wait = backoff.after_failure();
        if Instant::now() + wait >= deadline {
            let why = unanswered.unwrap_or_else(|| "no answer came".to_owned());
            return Answer::Unanswered { why };
        }
        sleep(wait).await;
    }
}

fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}
