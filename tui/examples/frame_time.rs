//! How long a frame and an update take in a hall of about 50 000 points: `cargo run --release -p tui --example frame_time`.

use std::{io::Write, sync::Arc, time::Instant};

use ratatui::{Terminal, backend::TestBackend};
use rules::{
    messages::{Change, Update},
    plant::{Asset, Detail, EdgeKind, Plant, PointId},
    time::Mono,
};
use tui::{Letters, Looks, State, keymap::Cmd, screen::Screen};

#[path = "../tests/it/hall.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
mod hall;

const TIMES: u32 = 200;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut snapshot = hall::Hall::new().snapshot();
    let (plant, readings) = many(&snapshot.plant, &snapshot.readings, 73);
    snapshot.plant = Arc::new(plant);
    snapshot.readings = readings;
    let points = snapshot.readings.len();
    let looks = Looks { letters: Letters::Full, colour: true };
    let mut state = State::new(snapshot.clone(), looks, Some("zhao".to_owned()));
    let mut terminal = Terminal::new(TestBackend::new(200, 60))?;
    let mut lines = vec![format!("{points} points, 200 x 60")];
    for screen in Screen::ALL {
        state.update(Cmd::Show(screen));
        state.update(Cmd::Down);
        let start = Instant::now();
        for _ in 0..TIMES {
            terminal.draw(|frame| tui::draw(frame, &state))?;
        }
        lines.push(format!("{screen:?}: {:?} a frame", start.elapsed() / TIMES));
    }
    let mut spent = std::time::Duration::ZERO;
    for second in 1..=TIMES {
        let mut at = snapshot.at;
        at.mono = at.mono.plus(std::time::Duration::from_secs(second.into()));
        let changes = (0_u32..).zip(&snapshot.readings).map(|(point, reading)| {
            let mut reading = reading.clone();
            reading.at = reading.at.map(|_| Mono(at.mono.0));
            Change::Reading { point: PointId(point), reading }
        });
        let seq = snapshot.seq + u64::from(second);
        let update = Update { seq, at, changes: changes.collect() };
        let start = Instant::now();
        state.apply(update);
        spent += start.elapsed();
    }
    lines.push(format!("update of all points: {:?}", spent / TIMES));
    writeln!(std::io::stdout(), "{}", lines.join("\n"))?;
    Ok(())
}

/// The same hall so many times over, under names of its own.
fn many(
    one: &Plant,
    readings: &[rules::value::Reading],
    times: u32,
) -> (Plant, Vec<rules::value::Reading>) {
    let mut plant = Plant::default();
    let mut all = Vec::new();
    for copy in 0..times {
        let ids: Vec<_> = one
            .assets()
            .iter()
            .map(|asset| {
                let detail = match asset.detail.clone() {
                    Detail::Rack(mut rack) => {
                        rack.row = format!("{}{copy}-", rack.row);
                        Detail::Rack(rack)
                    }
                    other => other,
                };
                let name = format!("{}-{copy}", asset.name).into();
                plant.add_asset(Asset { name, detail, ..asset.clone() })
            })
            .collect();
        for edge in one.edges() {
            plant.add_edge(ids[edge.from.index()], edge.kind, ids[edge.to.index()]);
        }
        for (point, reading) in one.points().iter().zip(readings) {
            let mut point = point.clone();
            point.asset = ids[point.asset.index()];
            plant.add_point(point);
            all.push(reading.clone());
        }
    }
    debug_assert!(plant.edges().iter().any(|edge| edge.kind == EdgeKind::Cools));
    (plant, all)
}
