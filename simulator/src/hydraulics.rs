//! Pumps in parallel on a closed loop: where their curves meet the system's.

/// A centrifugal pump at full speed: rise = shut-off − droop × flow². Affinity laws give every other speed
/// (flow ∝ n, rise ∝ n², power ∝ n³; domain facts §6.5).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PumpCurve {
    /// Rise at no flow.
    pub shutoff_kpa: f64,
    /// kPa per (L/min)².
    pub droop: f64,
    /// Hydraulic over electric power, drive and motor included.
    pub efficiency: f64,
}

/// Where a set of pumps runs.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct OperatingPoint {
    pub flow_lpm: f64,
    /// Pressure rise over the pumps, equal for all that deliver.
    pub rise_kpa: f64,
}

impl PumpCurve {
    /// Pumps of which `count` at `speed` deliver `flow_lpm` at `rise_kpa`, and whose own droop at that point equals
    /// the rise: steep enough that one pump alone carries about two thirds of the flow of two.
    pub fn sized_for(count: u32, speed: f64, flow_lpm: f64, rise_kpa: f64) -> Self {
        let each_lpm = flow_lpm / f64::from(count.max(1));
        Self {
            shutoff_kpa: 2.0 * rise_kpa / speed.powi(2),
            droop: rise_kpa / each_lpm.powi(2),
            efficiency: 0.62,
        }
    }

    /// Flow of one pump at `speed` (0 to 1) against `rise_kpa`. A check valve holds: never negative.
    pub fn flow_lpm(&self, speed: f64, rise_kpa: f64) -> f64 {
        let headroom_kpa = self.shutoff_kpa * speed.powi(2) - rise_kpa;
        if headroom_kpa <= 0.0 { 0.0 } else { (headroom_kpa / self.droop).sqrt() }
    }

    /// Electric power of one pump at that point. A spinning pump against a shut check valve still churns.
    pub fn electric_kw(&self, speed: f64, rise_kpa: f64) -> f64 {
        let hydraulic_kw = hydraulic_kw(self.flow_lpm(speed, rise_kpa), rise_kpa);
        let churn_kw = 0.4 * speed.powi(3);
        hydraulic_kw / self.efficiency + churn_kw
    }
}

/// Δp × flow in kW, from kPa and L/min.
pub fn hydraulic_kw(flow_lpm: f64, rise_kpa: f64) -> f64 {
    rise_kpa * flow_lpm / 60_000.0
}

/// The point where equal pumps at `speeds` (0 to 1 each) meet a system of `resistance` kPa per (L/min)².
///
/// The sum of the pumps' flows falls with the rise while the system's flow grows with it, so one point exists, and
/// halving the interval finds it.
pub fn operating_point(curve: &PumpCurve, speeds: &[f64], resistance: f64) -> OperatingPoint {
    let fastest = speeds.iter().copied().fold(0.0_f64, f64::max);
    if fastest <= 0.0 || !resistance.is_finite() {
        return OperatingPoint {
            flow_lpm: 0.0,
            rise_kpa: curve.shutoff_kpa * fastest.powi(2).max(0.0),
        };
    }
    let (mut low, mut high) = (0.0, curve.shutoff_kpa * fastest.powi(2));
    for _ in 0..48 {
        let rise_kpa = f64::midpoint(low, high);
        let delivered: f64 = speeds.iter().map(|speed| curve.flow_lpm(*speed, rise_kpa)).sum();
        if delivered > (rise_kpa / resistance).sqrt() {
            low = rise_kpa;
        } else {
            high = rise_kpa;
        }
    }
    let rise_kpa = f64::midpoint(low, high);
    OperatingPoint { flow_lpm: (rise_kpa / resistance).sqrt(), rise_kpa }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// 210 kPa at 1600 L/min.
    const RESISTANCE: f64 = 210.0 / (1600.0 * 1600.0);

    #[test]
    fn two_pumps_meet_the_point_they_were_sized_for() {
        let curve = PumpCurve::sized_for(2, 0.93, 1600.0, 210.0);
        let point = operating_point(&curve, &[0.93, 0.93], RESISTANCE);
        assert!((point.flow_lpm - 1600.0).abs() < 1e-6 * 1600.0);
        assert!((point.rise_kpa - 210.0).abs() < 1e-6 * 210.0);
    }

    #[test]
    fn one_pump_at_full_speed_carries_about_two_thirds() {
        let curve = PumpCurve::sized_for(2, 0.93, 1600.0, 210.0);
        let point = operating_point(&curve, &[1.0, 0.0], RESISTANCE);
        // One pump on the same system: √(2 / 5) ÷ 0.93 = 0.680 of the flow of two, by hand from the curve.
        assert!((point.flow_lpm / 1600.0 - 0.680).abs() < 0.001);
    }

    #[test]
    fn no_pump_gives_no_flow() {
        let curve = PumpCurve::sized_for(2, 0.93, 1600.0, 210.0);
        assert_eq!(operating_point(&curve, &[0.0, 0.0], RESISTANCE), OperatingPoint::default());
    }

    #[test]
    fn a_closed_system_gives_shut_off_pressure_and_no_flow() {
        let curve = PumpCurve::sized_for(2, 1.0, 1600.0, 210.0);
        let point = operating_point(&curve, &[1.0], f64::INFINITY);
        assert_eq!(point, OperatingPoint { flow_lpm: 0.0, rise_kpa: 420.0 });
    }

    proptest! {
        #[test]
        fn flow_follows_speed_and_rise_its_square_on_one_system(speed in 0.05_f64..1.0, ratio in 0.3_f64..1.0) {
            let curve = PumpCurve::sized_for(2, 0.93, 1600.0, 210.0);
            let fast = operating_point(&curve, &[speed, speed], RESISTANCE);
            let slow = operating_point(&curve, &[speed * ratio, speed * ratio], RESISTANCE);
            prop_assert!((slow.flow_lpm / fast.flow_lpm - ratio).abs() < 1e-6);
            prop_assert!((slow.rise_kpa / fast.rise_kpa - ratio.powi(2)).abs() < 1e-6);
        }

        #[test]
        fn pumps_of_any_speed_never_drive_a_negative_flow(
            speeds in proptest::collection::vec(0.0_f64..1.0, 0..5), resistance in 1e-9_f64..1.0,
        ) {
            let curve = PumpCurve::sized_for(2, 0.93, 1600.0, 210.0);
            let point = operating_point(&curve, &speeds, resistance);
            prop_assert!(point.flow_lpm >= 0.0 && point.rise_kpa >= 0.0);
            for speed in speeds {
                prop_assert!(curve.flow_lpm(speed, point.rise_kpa) >= 0.0);
                prop_assert!(curve.electric_kw(speed, point.rise_kpa) >= 0.0);
            }
        }
    }
}
