//! The formulas against the test vectors of the domain document, through the catalogue that `coldwatch calc` uses.

use proptest::prelude::*;
use rules::{
    calc::{self, Answer, ArgumentError, Arguments, Figure, InputFile, Kind},
    units::Unit,
    value::Undefined,
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Vectors {
    table: Vec<Table>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    vector: String,
    formula: String,
    /// One tolerance for each column of results, or one for all.
    relative: Vec<f64>,
    rows: String,
}

#[test]
fn every_vector_of_the_domain_document_is_reproduced() {
    let vectors: Vectors = toml::from_str(include_str!("../data/vectors.toml")).unwrap();
    let misses: Vec<String> = vectors.table.iter().flat_map(misses).collect();
    assert!(misses.is_empty(), "{}", misses.join("\n"));
    assert!(vectors.table.len() > 25, "the file is not empty");
}

/// What of a table is not reproduced, in words.
fn misses(table: &Table) -> Vec<String> {
    let mut lines = table.rows.lines().map(cells);
    let (inputs, outputs) = lines.next().unwrap();
    let mut misses = Vec::new();
    for (arguments, expected) in lines {
        let arguments: Vec<_> = inputs.iter().copied().zip(arguments).collect();
        let answers = answers(&table.formula, &arguments);
        assert_eq!(outputs.len(), expected.len(), "{}", table.vector);
        for (column, (output, expected)) in outputs.iter().zip(expected).enumerate() {
            let relative = table.relative.get(column).unwrap_or(&table.relative[0]);
            let answer = answers.iter().find(|answer| answer.name == *output).unwrap();
            if !fits(answer, expected, *relative) {
                misses.push(format!("{} {arguments:?}: {answer:?}, not {expected}", table.vector));
            }
        }
    }
    misses
}

fn cells(line: &str) -> (Vec<&str>, Vec<&str>) {
    let (left, right) = line.split_once('|').unwrap();
    (left.split_whitespace().collect(), right.split_whitespace().collect())
}

fn fits(answer: &Answer, expected: &str, relative: f64) -> bool {
    match &answer.value {
        Ok(Figure::Word(word)) => *word == expected,
        Ok(Figure::Number(number)) => {
            let wanted: f64 = expected.parse().unwrap();
            let decimals = expected.split_once('.').map_or(0, |(_, decimals)| decimals.len());
            let last_digit = 0.1_f64.powi(i32::try_from(decimals).unwrap());
            (number - wanted).abs() <= f64::max(relative * wanted.abs(), 0.501 * last_digit)
        }
        Err(_) => false,
    }
}

fn evaluate(formula: &str, arguments: &[(&str, &str)]) -> Result<Vec<Answer>, ArgumentError> {
    let mut given = Arguments::default();
    for (name, text) in arguments {
        given.insert(*name, *text);
    }
    calc::find(formula).unwrap().evaluate(&given)
}

fn answers(formula: &str, arguments: &[(&str, &str)]) -> Vec<Answer> {
    evaluate(formula, arguments).unwrap()
}

fn refusal(formula: &str, arguments: &[(&str, &str)]) -> String {
    evaluate(formula, arguments).unwrap_err().to_string()
}

#[test]
fn every_example_gives_the_answers_it_promises() {
    for formula in calc::catalog().filter(|formula| formula.file.is_none()) {
        let arguments = example(formula.example);
        let arguments: Vec<_> = arguments.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        let answers = answers(formula.name, &arguments);
        assert!(!answers.is_empty(), "{}", formula.name);
        for answer in answers {
            assert!(answer.value.is_ok(), "{}: {answer:?}", formula.name);
            let promised = formula.outputs.iter().any(|output| output.name == answer.name);
            assert!(promised || answer.name.contains("PUE"), "{}: {answer:?}", formula.name);
        }
    }
}

#[test]
fn every_unit_of_an_input_can_be_written_out() {
    for input in calc::catalog().flat_map(|formula| formula.inputs) {
        if let Kind::Quantity(unit) | Kind::Quantities(unit) = input.kind {
            assert!(Unit::parse(unit).is_ok(), "--{} in {unit}", input.name);
        }
    }
}

/// Splits `--key value --key "two words"`.
fn example(text: &str) -> Vec<(String, String)> {
    text.split("--")
        .filter_map(|argument| argument.trim().split_once(' '))
        .map(|(key, value)| (key.to_owned(), value.trim_matches('"').to_owned()))
        .collect()
}

#[test]
fn the_standard_name_appears_only_with_category_and_period() {
    let energies = [("edc-kwh", "10000000"), ("eit-kwh", "8000000")];
    let named =
        |more: &[(&str, &str)]| answers("pue", &[&energies[..], more].concat())[0].name.to_string();
    assert_eq!(named(&[]), "energy_ratio");
    let year = ("period", "2025-01-01:2025-12-31");
    assert_eq!(named(&[("category", "2"), year]), "PUE2 (2025-01-01:2025-12-31)");
    let rolling = ("period", "2024-03-01:2025-02-28");
    assert_eq!(named(&[("category", "1"), rolling]), "PUE1 (2024-03-01:2025-02-28)");
    let month = ("period", "2025-03-01:2025-03-31");
    assert_eq!(named(&[("category", "3"), month]), "iPUE3 (2025-03-01:2025-03-31)");
    let leap = ("period", "2024-02-29:2025-02-28");
    assert_eq!(named(&[("category", "1"), leap]), "PUE1 (2024-02-29:2025-02-28)");
    let almost = ("period", "2025-01-01:2025-12-30");
    assert_eq!(named(&[("category", "2"), almost]), "iPUE2 (2025-01-01:2025-12-30)");

    let refused = |more: &[(&str, &str)]| refusal("pue", &[&energies[..], more].concat());
    assert_eq!(refused(&[("category", "2")]), "--category and --period go together");
    assert_eq!(
        refused(&[("category", "2"), ("period", "2025-01-01:2026-01-01")]),
        "--period \"2025-01-01:2026-01-01\": the period is longer than 12 months"
    );
}

#[test]
fn a_partial_ratio_carries_the_name_of_its_part() {
    let answers = answers(
        "partial-pue",
        &[
            ("boundary", "loop A"),
            ("overhead-kwh", "30"),
            ("eit-kwh", "1000"),
            ("category", "2"),
            ("period", "2025-03-01:2025-03-31"),
        ],
    );
    assert_eq!(answers[0].name, "pPUE2[loop A] (2025-03-01:2025-03-31)");
}

#[test]
fn a_figure_without_meaning_is_answered_with_the_reason() {
    let reason = |formula, arguments: &[(&str, &str)]| {
        answers(formula, arguments)[0].value.clone().unwrap_err().kind
    };
    let ratio = |facility, it| reason("pue", &[("edc-kwh", facility), ("eit-kwh", it)]);
    assert_eq!(ratio("100", "0"), Undefined::ItPowerZero);
    assert_eq!(ratio("90", "100"), Undefined::FacilityBelowIt);

    let heat = |fluid, flow, supply, warm| {
        let stream =
            [("fluid", fluid), ("flow-lpm", flow), ("supply-c", supply), ("return-c", warm)];
        reason("heat", &stream)
    };
    assert_eq!(heat("water", "0", "20", "30"), Undefined::NoFlow);
    assert_eq!(heat("water", "100", "30", "20"), Undefined::ReversedSensors);
    assert_eq!(heat("water", "100", "20", "120"), Undefined::CoolantOutOfRange);
    assert_eq!(heat("water", "1e308", "20", "30"), Undefined::OutsideFormula);
    assert_eq!(heat("apg:0.25", "100", "-12", "-11"), Undefined::CoolantOutOfRange);

    let crossed = [
        ("heat-kw", "100"),
        ("hot-in-c", "40"),
        ("hot-out-c", "30"),
        ("cold-in-c", "31"),
        ("cold-out-c", "35"),
    ];
    assert_eq!(reason("heat-exchanger", &crossed), Undefined::TemperatureCross);
    let idle = [("currents-a", "5,4,3"), ("rated-a", "160")];
    assert_eq!(reason("unbalance", &idle), Undefined::NoLoad);
}

#[derive(Deserialize)]
struct Registers {
    case: Vec<RegisterCase>,
}

#[derive(Deserialize)]
struct RegisterCase {
    name: String,
    step: f64,
    modulus: Option<f64>,
    #[serde(default)]
    float32: bool,
    max_power_kw: f64,
    interval_s: u64,
    /// Time, value, outcome, and for some outcomes an amount or a flag.
    reads: Vec<Vec<toml::Value>>,
}

impl RegisterCase {
    /// The arguments that put the first `count` readings in.
    fn arguments(&self, count: usize) -> Arguments {
        let column = |column: usize| {
            let cells = self.reads.iter().take(count).map(|read| read[column].to_string());
            cells.collect::<Vec<_>>().join(",")
        };
        let mut given = Arguments::default();
        given.insert("times-s", column(0));
        given.insert("readings-kwh", column(1));
        given.insert("interval-s", self.interval_s.to_string());
        given.insert("max-power-kw", self.max_power_kw.to_string());
        given.insert("step-kwh", self.step.to_string());
        given.insert("format", if self.float32 { "float32" } else { "integer" });
        if let Some(modulus) = self.modulus {
            given.insert("modulus-kwh", modulus.to_string());
        }
        given
    }
}

#[test]
fn a_register_counts_what_the_ledger_counts() {
    let registers: Registers = toml::from_str(include_str!("../data/registers.toml")).unwrap();
    let counter = calc::find("counter").unwrap();
    for case in &registers.case {
        for (index, read) in case.reads.iter().enumerate() {
            let answers = counter.evaluate(&case.arguments(index + 1)).unwrap();
            let outcome = read[2].as_str().unwrap();
            let word = if outcome == "missing" { read[3].as_str().unwrap() } else { outcome };
            assert_eq!(answers[2].value, Ok(Figure::Word(word_of(word))), "{}", case.name);
            match (read.get(3).and_then(toml::Value::as_float), &answers[1].value) {
                (Some(amount), Ok(Figure::Number(energy))) => {
                    assert!((amount - energy).abs() < 1e-6, "{} {read:?} {energy}", case.name);
                }
                (Some(_), other) => panic!("{} {read:?} {other:?}", case.name),
                (None, figure) => assert!(figure.is_err(), "{} {read:?} {figure:?}", case.name),
            }
        }
    }
}

/// The catalogue's own copy of a word, to compare with.
fn word_of(word: &str) -> &'static str {
    let known = [
        "first",
        "duplicate",
        "held",
        "measured",
        "bridged",
        "rollover",
        "reset",
        "suspicious",
        "replaced",
        "ambiguous",
    ];
    known.into_iter().find(|known| *known == word).unwrap()
}

#[test]
fn a_register_is_cut_at_a_boundary_between_two_readings() {
    let answers = answers(
        "counter",
        &[
            ("readings-kwh", "1000,1005"),
            ("times-s", "-100,200"),
            ("interval-s", "300"),
            ("max-power-kw", "200"),
            ("at-s", "0"),
        ],
    );
    let Ok(Figure::Number(register)) = answers[3].value else { panic!("{answers:?}") };
    assert!((register - 1_001.666_667).abs() < 1e-6, "V-CUT: {register}");
}

#[test]
fn energy_is_claimed_only_where_every_reading_gave_some() {
    let energy = |readings: &str| {
        let limits = [("modulus-kwh", "1000000"), ("max-power-kw", "200")];
        let answers =
            answers("counter", &[&[("readings-kwh", readings)][..], &limits[..]].concat());
        answers[0].value.clone().map_err(|reason| reason.to_string())
    };
    assert_eq!(energy("100,101,103"), Ok(Figure::Number(3.0)));
    assert_eq!(
        energy("52345.6,12.3,13.3"),
        Err("register fell: exchanged or corrupt, no amount for that time".to_owned())
    );
    assert_eq!(energy("100,500"), Err("register jumped: waiting for reads that agree".to_owned()));
    assert_eq!(energy("100"), Err("no earlier reading to compare with".to_owned()));
}

fn tree(json: &str, arguments: &[(&str, &str)]) -> Result<Vec<Answer>, ArgumentError> {
    let mut given = Arguments::default();
    for (name, text) in arguments {
        given.insert(*name, *text);
    }
    given.set_file(serde_json::from_str::<InputFile>(json).unwrap());
    calc::find("tree").unwrap().evaluate(&given)
}

const WORKED_TREE: &str = include_str!("../data/tree.json");

#[test]
fn the_worked_meter_tree_gives_its_energies_and_ratio() {
    let year = [("category", "1"), ("period", "2025-01-01:2025-12-31")];
    let answers = tree(WORKED_TREE, &year).unwrap();
    let figures: Vec<_> = answers
        .iter()
        .map(|answer| (answer.name.as_ref(), answer.value.clone().unwrap()))
        .collect();
    let Figure::Number(ratio) = figures[0].1 else { panic!("{figures:?}") };
    assert_eq!(figures[0].0, "PUE1 (2025-01-01:2025-12-31)");
    assert!((ratio - 1.244_159).abs() < 1e-6, "V-TREE: {ratio}");
    assert_eq!(figures[1], ("facility_energy", Figure::Number(10_650_000.0)));
    assert_eq!(figures[2], ("it_energy", Figure::Number(8_560_000.0)));
    assert_eq!(tree(WORKED_TREE, &[]).unwrap()[0].name, "energy_ratio");
}

#[test]
fn a_tree_that_counts_a_meter_and_its_parent_is_refused_by_name() {
    let doubled = WORKED_TREE.replace("info_only", "it_load");
    let answers = tree(&doubled, &[]).unwrap();
    assert_eq!(answers[1].value, Ok(Figure::Number(10_650_000.0)));
    let reason = answers[0].value.clone().unwrap_err();
    assert_eq!(reason.kind, Undefined::DoubleCounting);
    assert_eq!(
        reason.to_string(),
        "\"E1\" and \"E05-1\" would both be counted, and \"E1\" feeds \"E05-1\""
    );
}

#[test]
fn a_faulty_tree_is_refused_with_what_is_wrong() {
    let refused = |meters: &str| tree(meters, &[]).unwrap_err().to_string();
    let meter = r#"{"id": "a", "parent": PARENT, "role": "it_load", "energy_kwh": 1}"#;
    let with = |parent: &str| meter.replace("PARENT", parent);
    let file = |meters: &[String]| format!(r#"{{"meters": [{}]}}"#, meters.join(","));
    assert_eq!(refused(&file(&[with("\"b\"")])), "meter \"a\" has an unknown parent \"b\"");
    assert_eq!(refused(&file(&[with("null"), with("null")])), "meter \"a\" is there twice");
    assert_eq!(refused(&file(&[with("\"a\"")])), "\"a\" → \"a\" feed each other in a circle");
    assert_eq!(
        refused(&file(&[with("null").replace(": 1}", ": -1}")])),
        "the energy of meter \"a\" is below zero"
    );
    let missing = calc::find("tree").unwrap().evaluate(&Arguments::default());
    assert!(missing.unwrap_err().to_string().starts_with("--input is missing"));
}

#[test]
fn a_wrong_argument_is_named() {
    assert_eq!(
        refusal("coolant", &[("fluid", "apg:0.7"), ("temperature-c", "40")]),
        "--fluid \"apg:0.7\": apg is known for glycol fractions from 0.1 to 0.6, not for 0.7"
    );
    assert_eq!(
        refusal("coolant", &[("fluid", "oil"), ("temperature-c", "40")]),
        "--fluid \"oil\": unknown coolant \"oil\": expected water, apg:0.25, mpg:0.3 or meg:0.4"
    );
    assert_eq!(
        refusal("coolant", &[("fluid", "water")]),
        "--temperature-c is missing: coolant temperature"
    );
    assert_eq!(
        refusal("coolant", &[("fluid", "water"), ("temperature-c", "40 kPa")]),
        "--temperature-c \"40 kPa\": \"kPa\" cannot be given in \"°C\""
    );
    assert_eq!(
        refusal("coolant", &[("fluid", "water"), ("temperature-c", "NaN")]),
        "--temperature-c \"NaN\": expected a number or a quantity in °C"
    );
    assert_eq!(
        refusal("dew-point", &[("temperature-c", "24"), ("humidity-percent", "0")]),
        "--humidity-percent \"0\": relative humidity is above zero"
    );
    assert_eq!(
        refusal("pue", &[("edc-kwh", "-1"), ("eit-kwh", "1")]),
        "--edc-kwh \"-1\": energy is not negative"
    );
    assert_eq!(refusal("flow", &[("speed", "1")]), "flow takes no --speed");
    assert_eq!(
        refusal("unbalance", &[("currents-a", "1,2")]),
        "--currents-a \"1,2\": expected three values, one for each phase"
    );
}

#[test]
fn a_rack_without_a_value_is_left_out_and_counted() {
    let answers = answers("density", &[("racks-kw", "132,missing,98"), ("area-m2", "100")]);
    let figure = |name: &str| {
        let answer = answers.iter().find(|answer| answer.name == name).unwrap();
        match answer.value.clone().unwrap() {
            Figure::Number(number) => number,
            Figure::Word(word) => panic!("{word}"),
        }
    };
    assert!((figure("rack_power_mean") - 115.0).abs() < 1e-9);
    assert!((figure("coverage") - 200.0 / 3.0).abs() < 1e-9);
}

#[test]
fn a_quantity_in_another_unit_is_converted() {
    let kelvin = answers("coolant", &[("fluid", "water"), ("temperature-c", "104 °F")]);
    let celsius = answers("coolant", &[("fluid", "water"), ("temperature-c", "40")]);
    for (one, other) in kelvin.iter().zip(&celsius) {
        let (Ok(Figure::Number(one)), Ok(Figure::Number(other))) = (&one.value, &other.value)
        else {
            panic!("{one:?} {other:?}");
        };
        assert!((one - other).abs() < 1e-9 * other.abs().max(1.0));
    }
}

proptest! {
    /// Whatever is typed is answered or refused, and no answer is NaN or infinite.
    #[test]
    fn no_formula_panics_or_answers_without_a_finite_number(
        pick in any::<prop::sample::Index>(),
        texts in prop::collection::vec(argument(), 10),
    ) {
        let formulas: Vec<_> = calc::catalog().collect();
        let formula = formulas[pick.index(formulas.len())];
        let mut given = Arguments::default();
        for (input, text) in formula.inputs.iter().zip(texts) {
            given.insert(input.name, text);
        }
        for answer in formula.evaluate(&given).unwrap_or_default() {
            if let Ok(Figure::Number(number)) = answer.value {
                prop_assert!(number.is_finite(), "{} {answer:?}", formula.name);
            }
        }
    }
}

proptest! {
    /// Whatever hangs together how: a tree is answered, undefined with a reason, or refused.
    #[test]
    fn any_meter_tree_is_answered_or_refused(
        meters in prop::collection::vec((0..6_u8, 0..12_u8, 0..5_usize, 0.0..1e300_f64), 0..8),
    ) {
        let roles = ["boundary_in", "boundary_out", "it_load", "cooling", "info_only"];
        let meters: Vec<_> = meters
            .into_iter()
            .map(|(id, parent, role, energy)| {
                let parent = (parent < 6).then(|| parent.to_string());
                serde_json::json!({
                    "id": id.to_string(), "parent": parent, "role": roles[role], "energy": energy,
                })
            })
            .collect();
        let file = serde_json::json!({ "meters": meters }).to_string();
        for answer in tree(&file, &[]).unwrap_or_default() {
            if let Ok(Figure::Number(number)) = answer.value {
                prop_assert!(number.is_finite(), "{answer:?}");
            }
        }
    }
}

fn argument() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => (-50.0..150.0_f64).prop_map(|number| number.to_string()),
        4 => any::<f64>().prop_map(|number| number.to_string()),
        2 => prop::sample::select(vec!["water", "apg:0.3", "meg:0", "mpg:0.6", "0", "1", "tgg"])
            .prop_map(str::to_owned),
        2 => "[0-9]{1,3},[0-9]{1,3},[0-9]{1,3}",
        1 => ".*",
    ]
}
