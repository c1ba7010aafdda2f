//! No size, no picture and no key brings the screen down.

use std::sync::Arc;

use proptest::prelude::*;
use rules::{
    alarm::Letter,
    messages::Snapshot,
    plant::{AssetId, Plant},
    time::Mono,
    value::{NoData, Reading, Undefined, Value},
};
use tui::{Letters, Looks};

use crate::{
    hall::Hall,
    screens::{after, press, screen},
};

const STRANGE: [&str; 6] = [
    "",
    "\u{1b}[2J\u{7}",
    "机房冷却分配单元二号机组",
    "e\u{301}\u{200d}👩‍🚀",
    "\u{202e}olleh",
    "a b\tc\nd",
];

const LETTERS: [Letter; 9] = [
    Letter::A,
    Letter::B,
    Letter::C,
    Letter::D,
    Letter::E,
    Letter::F,
    Letter::G,
    Letter::Bl,
    Letter::Cl,
];

fn value() -> impl Strategy<Value = Result<Value, NoData>> {
    prop_oneof![
        any::<f64>().prop_map(|number| Ok(Value::Number(number))),
        (-50.0..2000.0).prop_map(|number| Ok(Value::Number(number))),
        any::<i64>().prop_map(|number| Ok(Value::Integer(number))),
        any::<u32>().prop_map(|code| Ok(Value::State(code))),
        (0..STRANGE.len()).prop_map(|at| Ok(Value::Text(STRANGE[at].into()))),
        Just(Err(NoData::Stale)),
        Just(Err(NoData::Undefined(Undefined::TwoPhase))),
    ]
}

/// What is replaced in the hall by whatever may come.
#[derive(Clone, Debug)]
struct Recipe {
    values: Vec<(prop::sample::Index, Result<Value, NoData>)>,
    /// Letter, asset, text, since.
    alarms: Vec<(usize, u32, usize, u64)>,
    /// Fewer readings than points.
    short: bool,
    /// No plant at all.
    bare: bool,
}

fn recipe() -> impl Strategy<Value = Recipe> {
    let values = proptest::collection::vec((any::<prop::sample::Index>(), value()), 0..200);
    let alarm = (0..LETTERS.len(), any::<u32>(), 0..STRANGE.len(), any::<u64>());
    (values, proptest::collection::vec(alarm, 0..20), any::<bool>(), any::<bool>())
        .prop_map(|(values, alarms, short, bare)| Recipe { values, alarms, short, bare })
}

fn cook(recipe: Recipe) -> Snapshot {
    let mut snapshot = Hall::new().snapshot();
    let count = snapshot.readings.len();
    for (at, value) in recipe.values {
        let at = at.index(count);
        snapshot.readings[at] = Reading { value, ..snapshot.readings[at].clone() };
    }
    let pattern = snapshot.alarms[0].clone();
    for (letter, asset, text, since) in recipe.alarms {
        let mut alarm = pattern.clone();
        alarm.name = format!("x@{asset}").into();
        alarm.letter = LETTERS[letter];
        // Half of them on assets that the plant does not have.
        alarm.asset = Some(AssetId(asset % 400));
        alarm.title = STRANGE[text].into();
        alarm.expression = STRANGE[text].into();
        alarm.operands = STRANGE[text].repeat(40);
        alarm.active_since = Some(Mono::from_secs(since));
        snapshot.alarms.push(alarm);
    }
    if recipe.short {
        snapshot.readings.truncate(count / 2);
    }
    if recipe.bare {
        snapshot.plant = Arc::new(Plant::default());
    }
    snapshot
}

fn keys() -> impl Strategy<Value = String> {
    let key = prop::sample::select(vec![
        "1", "2", "3", "5", "j", "k", "h", "l", "g", "G", "[", "]", "/", "?", "v", "f", "a", "A",
        "y", "Enter", "Esc", "Tab", "x",
    ]);
    proptest::collection::vec(key, 0..25).prop_map(|keys| keys.join(" "))
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 40,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn nothing_panics_at_any_size(
        recipe in recipe(),
        keys in keys(),
        sizes in proptest::collection::vec((1..=200_u16, 1..=60_u16), 1..4),
        letters in prop::sample::select(vec![Letters::Ascii, Letters::Text, Letters::Full]),
    ) {
        let mut state = after("", Looks { letters, colour: true }, cook(recipe));
        for size in sizes {
            press(&mut state, &keys);
            let backend = screen(&state, size);
            let control = |cell: &ratatui::buffer::Cell| cell.symbol().chars().any(char::is_control);
            prop_assert!(!backend.buffer().content().iter().any(control));
        }
    }
}
