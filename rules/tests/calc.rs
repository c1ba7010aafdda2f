//! The formulas against the test vectors of the domain document, through the catalogue that `coldwatch calc` uses.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use proptest::prelude::*;
use rules::{
    calc::{self, Answer, ArgumentError, Arguments, Figure},
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
    let vectors: Vectors = toml::from_str(include_str!("data/vectors.toml")).unwrap();
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
    match answer.value {
        Ok(Figure::Word(word)) => word == expected,
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
    for formula in calc::catalog() {
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
    let reason =
        |formula, arguments: &[(&str, &str)]| answers(formula, arguments)[0].value.unwrap_err();
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
        match answer.value.unwrap() {
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
        let (Ok(Figure::Number(one)), Ok(Figure::Number(other))) = (one.value, other.value) else {
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
