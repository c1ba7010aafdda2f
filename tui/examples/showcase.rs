//! Runs the dashboard on a made-up hall that moves, to look at it: `cargo run -p tui --example showcase`.
//!
//! Arguments: `ascii` forces the ASCII letters, `lost` ends the feed after ten seconds, `stumble` lets another thread
//! panic, which must leave the screen alone.

use std::time::Duration;

use rules::{
    alarm::Letter,
    messages::{Action, Change, Command, Feed, Outcome},
};
use tokio::{sync::mpsc, time::interval};
use tui::{Answer, Looks, News, Options, Source};

#[path = "../tests/it/hall.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
mod hall;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |word: &str| arguments.iter().any(|argument| argument == word);
    let looks = Looks::detect(has("ascii"), |name| std::env::var(name).ok());
    let options = Options { looks, operator: Some("zhao".to_owned()) };
    if has("stumble") {
        std::thread::spawn(|| {
            std::thread::sleep(Duration::from_secs(1));
            panic!("a thread behind the screen stumbled");
        });
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    Ok(runtime.block_on(show(options, has("lost")))?)
}

async fn show(options: Options, lost: bool) -> Result<(), tui::TuiError> {
    let hall = hall::Hall::new();
    let (to_screen, news) = mpsc::channel(4);
    let (commands, from_screen) = mpsc::channel(4);
    let source = Source { snapshot: hall.snapshot(), news, commands };
    tokio::spawn(play(hall, to_screen, from_screen, lost));
    tui::run(source, options, std::future::pending()).await
}

async fn play(
    mut hall: hall::Hall,
    screen: mpsc::Sender<News>,
    mut commands: mpsc::Receiver<Command>,
    lost: bool,
) {
    let mut ticks = interval(Duration::from_secs(1));
    let end = hall.clock_s + 10;
    loop {
        let update = tokio::select! {
            Some(command) = commands.recv() => {
                let mut update = hall.step(0);
                let key = command.key.clone();
                update.changes.extend(obey(&mut hall, command));
                let answer = Answer::Decided(Outcome::Done);
                if screen.send(News::Answered { key, answer }).await.is_err() {
                    return;
                }
                update
            }
            _ = ticks.tick() => hall.step(1),
        };
        if screen.send(News::Feed(Feed::Update(update))).await.is_err()
            || (lost && hall.clock_s > end)
        {
            return;
        }
    }
}

fn obey(hall: &mut hall::Hall, command: Command) -> Vec<Change> {
    let (Action::Ack { alarm, .. } | Action::Reset { alarm }) = command.action;
    let letter = hall.alarms.iter().find(|known| known.name == alarm).map(|known| known.letter);
    let next = match letter {
        Some(Letter::B) => Letter::C,
        Some(Letter::Bl) => Letter::Cl,
        _ => Letter::A,
    };
    hall.set_letter(&alarm, next, Some(&command.by))
}
