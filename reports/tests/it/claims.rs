//! What a report claims and what it refuses.

use reports::{
    compliance::{Qualification, Use, Verdict},
    estimate::Means,
};
use rules::{
    ledger::Method,
    plant::{Carrier, Role},
    register::Flag,
};

use crate::hall::{Hall, names};

fn close(found: Option<f64>, expected: f64) {
    let found = found.unwrap();
    assert!((found - expected).abs() < 1e-6, "{found} for {expected}");
}

#[test]
fn a_measured_month_has_an_interim_figure_with_category_period_and_completeness() {
    let answer = Hall::measured("2026-10-01", "2026-10-31").answer();
    // 31 days with one hour more: 2980 quarter-hours of 100 kWh, and 41 + 41 − 2 kWh.
    assert_eq!(answer.period.quarter_hours, 2980);
    close(answer.facility.kwh, 298_000.0);
    close(answer.it.kwh, 238_400.0);
    close(answer.figure().value, 1.25);
    assert_eq!(answer.figure().verdict, Verdict::Reported);
    // Classes 0.5 % and transformers 0.5 %: u = 0.408 % of utility, and of 84/80 for the IT meters.
    let u95 = 2.0 * 1.25 * 0.004_082_48_f64.hypot(0.004_082_48 * 84.0 / 80.0);
    assert!((answer.figure().u95.unwrap() - u95).abs() < 1e-6);
    assert_eq!(
        answer.figure().notation.clone().unwrap(),
        "iPUE2 (2026-10-01:2026-10-31) = 1.25 [U95 ±0.015; completeness 100 %; method ISO/IEC 30134-2:2026]"
    );
}

#[test]
fn twelve_months_have_the_annual_figure_and_eleven_have_not() {
    let year = Hall::measured("2025-11-01", "2026-10-31").answer();
    assert_eq!(year.figure().title.clone().unwrap(), "PUE2 (2025-11-01:2026-10-31)");
    assert!(year.period.annual && year.figure().value.is_some());
    let shorter = Hall::measured("2025-12-01", "2026-10-31").answer();
    assert_eq!(shorter.figure().title.clone().unwrap(), "iPUE2 (2025-12-01:2026-10-31)");
}

#[test]
fn an_annual_figure_with_a_gap_of_a_fortnight_is_qualified() {
    let mut hall = Hall::measured("2025-11-01", "2026-10-31");
    hall.lose("it-a", 1000..1000 + 14 * 96);
    let answer = hall.answer();
    assert_eq!(answer.figure().verdict, Verdict::Qualified);
    close(answer.figure().value, 1.25);
}

#[test]
fn twenty_good_days_of_thirty_are_two_thirds_and_refused() {
    let mut hall = Hall::measured("2026-09-01", "2026-09-30");
    hall.lose("it-a", 20 * 96..30 * 96);
    let answer = hall.answer();
    assert_eq!(hall.refusals(), ["low_coverage"]);
    assert!((answer.figure().completeness - 2.0 / 3.0).abs() < 1e-9);
    assert!((answer.it.completeness_energy - 2.0 / 3.0).abs() < 1e-9);
    assert_eq!((answer.figure().value, answer.figure().notation.clone()), (None, None));
    let why = hall.why();
    assert!(why.contains("66.66 %") && why.contains("it-a") && why.contains("240.0 h"), "{why}");
}

#[test]
fn a_small_gap_is_estimated_from_the_same_weekdays_and_said() {
    let mut hall = Hall::measured("2026-09-01", "2026-09-30");
    hall.lose("it-a", 700..720);
    let answer = hall.answer();
    close(answer.it.kwh, 80.0 * 2880.0);
    close(answer.figure().value, 1.25);
    // Of 84 kWh that the terms count in a quarter-hour, 41 are estimated in 20 of 2880 quarter-hours.
    assert!((answer.it.estimated_share - 41.0 / 84.0 * 20.0 / 2880.0).abs() < 1e-9);
    assert_eq!(answer.figure().verdict, Verdict::Reported, "less than 1 % is estimated");
    let estimated = &answer.estimates[0];
    assert_eq!((&*estimated.meter, estimated.means), ("it-a", Means::SameWeekday));
    assert!((estimated.quarter_hours - 20.0).abs() < 1e-9);
    assert!(hall.notes().iter().any(|note| note.contains("is estimated")));
}

#[test]
fn both_energies_cover_the_same_time_when_a_gap_cannot_be_estimated() {
    let mut hall = Hall::measured("2026-09-01", "2026-09-05");
    hall.lose("it-a", 100..105);
    let answer = hall.answer();
    close(answer.facility.kwh, 100.0 * 475.0);
    close(answer.it.kwh, 80.0 * 475.0);
    close(answer.figure().value, 1.25);
    assert!(hall.notes().iter().any(|note| note.contains("5 of 480 quarter-hours")));
}

#[test]
fn gaps_of_several_meters_at_different_times_count_together() {
    let mut hall = Hall::measured("2026-09-01", "2026-09-05");
    for (at, meter) in ["utility", "it-a", "it-b"].into_iter().enumerate() {
        hall.lose(meter, 100 * at..100 * at + 8);
    }
    assert_eq!(hall.refusals(), ["low_coverage"]);
    assert!(hall.why().contains("different times"));
}

#[test]
fn a_figure_of_which_more_than_a_hundredth_is_estimated_is_qualified() {
    let mut hall = Hall::measured("2026-09-01", "2026-09-30");
    hall.lose("utility", 700..750);
    let answer = hall.answer();
    assert_eq!(answer.figure().verdict, Verdict::Qualified);
    assert_eq!(answer.figure().qualifications, [Qualification::Estimated]);
}

#[test]
fn a_bridged_outage_is_complete_and_said() {
    let mut hall = Hall::measured("2026-09-01", "2026-09-30");
    for row in hall.of("utility", 400..436) {
        (row.method, row.flags) = (Method::Bridged, vec![Flag::InterpolatedWide]);
    }
    let answer = hall.answer();
    close(answer.figure().value, 1.25);
    assert!((answer.facility.bridged_share - 36.0 / 2880.0).abs() < 1e-9);
    assert!((answer.facility.completeness_energy - 1.0).abs() < 1e-12);
    assert!((answer.facility.completeness_time - (1.0 - 36.0 / 2880.0)).abs() < 1e-9);
    let flag = &answer.flags[0];
    assert_eq!((flag.flag, flag.quarter_hours), (Flag::InterpolatedWide, 36));
    assert_eq!(flag.meters, names(&["utility"]));
    let bridged: Vec<u32> = answer
        .days
        .iter()
        .enumerate()
        .filter(|(_, day)| day.bridged_share > 0.0)
        .map(|(index, _)| u32::try_from(index).unwrap() + 1)
        .collect();
    assert_eq!(bridged, [5], "36 quarter-hours from place 400 lie on the fifth day");
}

#[test]
fn a_meter_that_went_unheard_all_month_is_named_and_not_taken_as_zero() {
    let mut hall = Hall::measured("2026-09-01", "2026-09-30");
    hall.lose("pumps", 0..2880);
    let answer = hall.answer();
    assert_eq!(hall.refusals(), ["meter_without_data"]);
    assert_eq!(answer.it.kwh, None);
    assert!(hall.why().contains("pumps"));
}

#[test]
fn no_figure_without_boundary_it_meter_category_or_data() {
    let mut hall = Hall::measured("2026-09-01", "2026-09-02");
    hall.declare("utility", |meter| meter.role = Role::InfoOnly);
    assert_eq!(hall.refusals(), ["no_boundary_meter"]);

    let mut hall = Hall::measured("2026-09-01", "2026-09-02");
    for meter in ["it-a", "it-b"] {
        hall.declare(meter, |meter| meter.role = Role::InfoOnly);
    }
    assert_eq!(hall.refusals(), ["no_it_meter"]);

    let mut hall = Hall::measured("2026-09-01", "2026-09-02");
    hall.declare("it-b", |meter| meter.category = None);
    assert_eq!(hall.refusals(), ["no_category"]);
    assert!(hall.why().contains("it-b must say"));

    let mut hall = Hall::measured("2026-09-01", "2026-09-02");
    hall.declare("utility", |meter| meter.carrier = Carrier::Water);
    assert_eq!(hall.refusals(), ["not_energy"]);

    let mut hall = Hall::measured("2026-09-01", "2026-09-02");
    hall.rows.clear();
    assert_eq!(hall.refusals(), ["no_data"]);
}

#[test]
fn a_meter_and_its_ancestor_in_one_sum_are_refused() {
    let mut hall = Hall::measured("2026-09-01", "2026-09-02");
    hall.declare("it-a", |meter| meter.role = Role::BoundaryIn);
    assert_eq!(hall.refusals(), ["double_counting"]);
    let why = hall.why();
    assert!(why.contains("\"utility\" feeds \"it-a\"") && why.contains("info_only"), "{why}");
}

#[test]
fn zero_it_energy_and_a_facility_below_it_are_refused() {
    let mut hall = Hall::measured("2026-09-01", "2026-09-02");
    for meter in ["it-a", "it-b", "pumps"] {
        hall.of(meter, 0..192).into_iter().for_each(|row| row.amount = Some(0.0));
    }
    assert_eq!(hall.refusals(), ["it_energy_zero"]);

    let mut hall = Hall::measured("2026-09-01", "2026-09-02");
    hall.of("utility", 0..192).into_iter().for_each(|row| row.amount = Some(60.0));
    assert_eq!(hall.refusals(), ["facility_below_it"]);
    assert!(hall.why().contains("boundary or meter error"));
}

#[test]
fn a_period_that_is_not_over_is_refused_whatever_is_known() {
    let mut hall = Hall::measured("2026-09-01", "2026-09-02");
    hall.asked_at = "2026-09-02T12:00:00Z".parse().unwrap();
    assert_eq!(hall.refusals(), ["period_not_over"]);
}

#[test]
fn a_jump_that_no_power_explains_is_refused_with_its_place() {
    let mut hall = Hall::measured("2026-09-01", "2026-09-02");
    hall.of("utility", 52..53)[0].amount = Some(400_000.0);
    assert_eq!(hall.refusals(), ["implausible_energy"]);
    let why = hall.why();
    assert!(why.contains("utility") && why.contains("2026-09-01 13:00 +02:00"), "{why}");
}

#[test]
fn a_rollover_is_counted_and_the_registers_still_give_the_energy() {
    let mut hall = Hall::measured("2026-09-01", "2026-09-02");
    for row in hall.of("it-a", 50..192) {
        for reading in [&mut row.first, &mut row.last] {
            reading.as_mut().unwrap().value -= 1_000_000.0;
        }
    }
    hall.of("it-a", 49..50)[0].flags = vec![Flag::Rollover];
    hall.of("it-a", 49..50)[0].last.as_mut().unwrap().value -= 1_000_000.0;
    let answer = hall.answer();
    let meter = answer.meters.iter().find(|meter| &*meter.name == "it-a").unwrap();
    assert_eq!(meter.rollovers, 1);
    close(meter.register_difference, 41.0 * 192.0);
    close(meter.amount, 41.0 * 192.0);
}

#[test]
fn density_is_per_floor_per_rack_and_at_most_what_was_measured() {
    let mut hall = Hall::measured("2026-09-01", "2026-09-02");
    hall.of("it-a", 10..11)[0].amount = Some(61.0);
    for row in hall.of("it-a", 20..22) {
        (row.method, row.amount) = (Method::Bridged, Some(90.0));
    }
    let density = hall.answer().density;
    close(density.hall.max_kw, 4.0 * 100.0);
    close(density.hall.p95_kw, 4.0 * 80.0);
    let mean_kw = 4.0 * (80.0 * 192.0 + 20.0 + 2.0 * 49.0) / 192.0;
    close(density.hall.mean_kw, mean_kw);
    close(density.mean_kw_per_m2, mean_kw / 40.0);
    // Both feeds go to the same four racks, whose own power is that of the two meters together.
    assert_eq!(density.groups.len(), 1);
    assert_eq!(density.groups[0].meters, names(&["it-a", "it-b"]));
    assert_eq!(density.groups[0].racks.len(), 4);
    close(density.groups[0].max_kw_per_rack, 4.0 * 102.0 / 4.0);
}

#[test]
fn a_day_with_a_change_of_clocks_has_its_own_hours() {
    let answer = Hall::measured("2026-10-24", "2026-10-26").answer();
    let hours: Vec<f64> = answer.days.iter().map(|day| day.hours).collect();
    assert_eq!(hours, [24.0, 25.0, 24.0]);
    close(answer.days[1].facility_kwh, 100.0 * 100.0);
}

#[test]
fn the_parts_of_facility_energy_add_up() {
    let answer = Hall::measured("2026-09-01", "2026-09-02").answer();
    let parts: Vec<(Use, f64)> =
        answer.breakdown.uses.iter().map(|part| (part.name, part.kwh / 192.0)).collect();
    assert_eq!(parts, [(Use::It, 80.0), (Use::Cooling, 2.0), (Use::NotMeteredApart, 18.0)]);
}

#[test]
fn pumps_that_hang_on_it_meters_unmetered_are_said_to_be_inside_it_energy() {
    let hall = Hall::measured("2026-09-01", "2026-09-02");
    assert!(hall.answer().notes.is_empty(), "{:?}", hall.notes());
    let mut hall = hall;
    hall.declare("pumps", |meter| meter.role = Role::InfoOnly);
    let notes = hall.notes();
    assert!(notes[0].contains("inside IT energy") && notes[0].contains("cdu-1"), "{notes:?}");
}

#[test]
fn rows_of_a_meter_that_is_gone_from_the_plant_are_named() {
    let mut hall = Hall::measured("2026-09-01", "2026-09-02");
    let mut row = hall.rows[0].clone();
    row.meter = "old-utility".into();
    hall.rows.push(row);
    assert!(hall.notes()[0].contains("old-utility"));
}

#[test]
fn a_second_row_for_a_quarter_hour_is_not_added() {
    let mut hall = Hall::measured("2026-09-01", "2026-09-02");
    let again = hall.rows[7].clone();
    hall.rows.insert(8, again);
    let answer = hall.answer();
    close(answer.facility.kwh, 19_200.0);
    assert_eq!(answer.meters.iter().map(|meter| meter.repeated_rows).sum::<u32>(), 1);
}
