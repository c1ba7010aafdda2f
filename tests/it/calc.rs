//! `coldwatch calc`: questions to the real program, and how it answers and refuses.

use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::support::COLDWATCH;

fn calc(arguments: &str) -> Output {
    Command::new(COLDWATCH).arg("calc").args(arguments.split_whitespace()).output().unwrap()
}

/// The JSON answer to arguments without spaces in them.
fn answer(arguments: &str) -> Value {
    let out = calc(&format!("{arguments} --json"));
    assert_eq!(out.status.code(), Some(0), "{}", String::from_utf8_lossy(&out.stderr));
    serde_json::from_slice(&out.stdout).unwrap()
}

fn assert_value(answer: &Value, name: &str, expected: f64, unit: &str) {
    let figure = &answer["values"][name];
    let value = figure["value"].as_f64().unwrap_or_else(|| panic!("{name} in {answer}"));
    assert!((value - expected).abs() <= 1e-4 * expected.abs(), "{name}: {value}, not {expected}");
    assert_eq!(figure["unit"], unit);
}

/// Exit code and stderr of a question that is not answered.
fn refusal(arguments: &str) -> (Option<i32>, String) {
    let out = calc(arguments);
    assert!(out.stdout.is_empty(), "talk goes to stderr");
    (out.status.code(), String::from_utf8(out.stderr).unwrap())
}

#[test]
fn answers_in_json_carry_value_and_unit() {
    let heat = answer("heat --fluid apg:0.25 --flow-lpm 120 --supply-c 32 --return-c 46");
    assert_value(&heat, "heat", 112.536, "kW");
    let coolant = answer("coolant --fluid mpg:0.3 --temperature-c 40");
    assert_value(&coolant, "density", 1013.4323, "kg/m3");
    let air = answer("dew-point --temperature-c 24 --humidity-percent 60");
    assert_value(&air, "dew_point", 15.759, "°C");
    let racks = answer("density --racks-kw 132,120,98,0.096 --area-m2 240");
    assert_value(&racks, "rack_power_mean_occupied", 116.6667, "kW");
    let register =
        answer("counter --readings-kwh 65530,20 --modulus-kwh 65536 --max-power-kw 2000");
    assert_value(&register, "energy", 26.0, "kWh");
}

#[test]
fn a_quantity_may_be_written_in_another_unit() {
    let out = Command::new(COLDWATCH)
        .args(["calc", "flow", "--flow-lpm", "500 gpm", "--power-kw", "2 MW", "--json"])
        .output()
        .unwrap();
    let flow = serde_json::from_slice(&out.stdout).unwrap();
    assert_value(&flow, "specific_flow", 0.946_353, "L/min/kW");
}

#[test]
fn a_temperature_below_zero_is_no_option() {
    let coolant = answer("coolant --fluid apg:0.5 --temperature-c -20");
    assert!(coolant["values"]["density"]["value"].is_number());
}

#[test]
fn an_undefined_answer_has_a_reason_and_is_no_failure() {
    let idle = answer("pue --edc-kwh 100 --eit-kwh 0");
    assert_eq!(
        idle["values"]["energy_ratio"],
        json!({ "value": null, "reason": "IT load is zero" })
    );
    let below = answer("pue --edc-kwh 90 --eit-kwh 100");
    assert_eq!(
        below["values"]["energy_ratio"]["reason"],
        "facility below IT: boundary or meter error"
    );
}

#[test]
fn the_ratio_is_named_by_category_and_period_or_not_at_all() {
    let plain = calc("pue --edc-kwh 10000000 --eit-kwh 8000000 --json");
    assert!(!String::from_utf8(plain.stdout).unwrap().contains("PUE"));
    let named = answer(
        "pue --edc-kwh 10000000 --eit-kwh 8000000 --category 2 --period 2025-01-01:2025-12-31",
    );
    assert_value(&named, "PUE2 (2025-01-01:2025-12-31)", 1.25, "1");
    let interim =
        answer("pue --edc-kwh 821MWh --eit-kwh 705MWh --category 2 --period 2025-03-01:2025-03-31");
    assert_value(&interim, "iPUE2 (2025-03-01:2025-03-31)", 821.0 / 705.0, "1");
}

#[test]
fn a_meter_tree_is_read_from_a_file() {
    let tree = answer(
        "tree --input rules/tests/data/tree.json --category 1 --period 2025-01-01:2025-12-31",
    );
    assert_value(&tree, "PUE1 (2025-01-01:2025-12-31)", 1.244_159, "1");
    assert_value(&tree, "facility_energy", 10_650_000.0, "kWh");
    assert_value(&tree, "it_energy", 8_560_000.0, "kWh");
}

#[test]
fn people_get_a_table() {
    let out = calc("failover --feed-a-kw 28.73 --feed-b-kw 19.096 --capacity-kw 57.5");
    insta::assert_snapshot!(String::from_utf8(out.stdout).unwrap(), @r"
    power  47.826 kW
    load   83.17565 %
    state  degraded
    ");
}

#[test]
fn a_mistyped_name_brings_the_nearest() {
    let (code, text) = refusal("haet");
    assert_eq!(code, Some(2));
    assert!(text.contains("'heat'"), "{text}");
    let (code, text) = refusal("flow --flo-lpm 3");
    assert_eq!(code, Some(2));
    assert!(text.contains("'--flow-lpm'"), "{text}");
}

#[test]
fn a_wrong_argument_is_a_usage_error_that_says_why() {
    let (code, text) = refusal("coolant --fluid apg:0.7 --temperature-c 40");
    assert_eq!(code, Some(2));
    assert!(text.contains("glycol fractions from 0.1 to 0.6"), "{text}");
    let (code, text) = refusal("coolant --fluid water");
    assert_eq!(code, Some(2));
    assert!(text.contains("--temperature-c"), "{text}");
}

#[test]
fn a_file_that_cannot_be_read_is_a_failure() {
    let (code, text) = refusal("tree --input nowhere.json");
    assert_eq!(code, Some(1));
    assert!(text.contains("cannot open nowhere.json"), "{text}");
}

#[test]
fn the_list_names_every_formula_and_each_has_help_with_an_example() {
    let out = calc("--list --json");
    let list: Value = serde_json::from_slice(&out.stdout).unwrap();
    let formulas = list["formulas"].as_array().unwrap();
    assert!(formulas.len() > 20);
    for formula in formulas {
        let name = formula["name"].as_str().unwrap();
        let help = calc(&format!("{name} --help"));
        assert!(help.status.success(), "{name}");
        let text = String::from_utf8(help.stdout).unwrap();
        assert!(text.contains(&format!("Example: coldwatch calc {name}")), "{name}");
    }
}
