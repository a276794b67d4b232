//! Medians, percentiles, and how they are printed.

use std::time::Duration;

/// The value below which so many hundredths of the sorted values lie.
pub fn percentile(sorted: &[Duration], hundredths: f64) -> Duration {
    if sorted.is_empty() {
        return Duration::ZERO;
    }
    let at = (sorted.len() as f64 * hundredths / 100.0).ceil() as usize;
    sorted[at.clamp(1, sorted.len()) - 1]
}

/// The median.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Milliseconds.
pub fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// One line of a table of goals: what was measured, what it came to, what it should be. Tells whether it is.
pub fn goal(what: &str, measured: f64, unit: &str, goal: f64, at_most: bool) -> bool {
    let reached = if at_most { measured <= goal } else { measured >= goal };
    let (sign, word) = (if at_most { "≤" } else { "≥" }, if reached { "reached" } else { "MISSED" });
    println!("| {what} | {measured:.2}{unit} | {sign} {goal:.2}{unit} | {word} |");
    reached
}
