//! Numbers to text and to cells of a bar.

use std::time::Duration;

/// `n` as a float; exact for every size a screen can have.
#[expect(clippy::cast_precision_loss, reason = "counts of cells, far below 2^52")]
pub(crate) fn to_f64(n: usize) -> f64 {
    n as f64
}

/// The nearest step in `0..=top`; what is below or above lies on the edge.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped between zero and a count of cells just before"
)]
pub(crate) fn to_step(value: f64, top: usize) -> usize {
    if value.is_nan() {
        return 0;
    }
    value.round().clamp(0.0, to_f64(top)) as usize
}

/// A number with so many decimals, without a negative zero and never wider than a figure can sensibly be: beyond ten
/// characters it goes to scientific notation.
pub(crate) fn decimal(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    let zero = !text.bytes().any(|digit| digit.is_ascii_digit() && digit != b'0');
    match text.strip_prefix('-') {
        Some(positive) if zero => positive.to_owned(),
        _ if text.len() > 10 => format!("{value:.2e}"),
        _ => text,
    }
}

/// How long something lasts, in at most six characters: `16 s`, `2m55s`, `1h00m`, `1d03h`, `41 d`.
pub(crate) fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h{:02}m", seconds / 3_600, seconds % 3_600 / 60),
        86_400..864_000 => format!("{}d{:02}h", seconds / 86_400, seconds % 86_400 / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_decimals_and_lose_a_negative_zero() {
        assert_eq!(decimal(46.25, 1), "46.2");
        assert_eq!(decimal(-0.04, 1), "0.0");
        assert_eq!(decimal(-0.06, 1), "-0.1");
        assert_eq!(decimal(1e300, 1), "1.00e300");
    }

    #[test]
    fn spans_are_short() {
        let texts = [16, 175, 3600, 97_200, 3_542_400].map(|s| span(Duration::from_secs(s)));
        assert_eq!(texts, ["16 s", "2m55s", "1h00m", "1d03h", "41 d"]);
    }

    #[test]
    fn a_step_stays_on_the_scale() {
        let steps = [f64::NAN, f64::NEG_INFINITY, -1.0, 0.4, 0.6, 9.0].map(|v| to_step(v, 4));
        assert_eq!(steps, [0, 0, 0, 0, 1, 4]);
    }
}
