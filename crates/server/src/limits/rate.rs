//! A rate: so many requests per second, and so many at once.

use std::{fmt, time::Duration};

/// Slowest and fastest rates, requests per second: one a day, and what no server reaches.
const BOUNDS: std::ops::RangeInclusive<f64> = (1.0 / 86_400.0)..=1e6;

/// So many requests per second, and so many at once by somebody who has not asked for a while.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    per_second: f64,
    burst: u32,
}

impl Rate {
    /// A rate; without `burst`, what comes in a second may come at once.
    ///
    /// # Errors
    /// Why it cannot be one.
    pub fn new(per_second: f64, burst: Option<u32>) -> Result<Self, String> {
        // Not a number is in no range.
        if !BOUNDS.contains(&per_second) {
            return Err(format!(
                "{per_second} requests per second; it must be from one a day (0.0000116) to 1000000"
            ));
        }
        let burst = burst.unwrap_or_else(|| (per_second.ceil() as u32).max(1));
        if burst == 0 {
            return Err("a burst of 0 would let nobody ask anything; at least 1 is needed".into());
        }
        Ok(Self { per_second, burst })
    }

    /// Time in which one request becomes free again.
    pub(super) fn interval(self) -> Duration {
        Duration::from_secs_f64(1.0 / self.per_second)
    }

    /// How far requests may be ahead of their time.
    pub(super) fn tolerance(self) -> Duration {
        self.interval().saturating_mul(self.burst - 1)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} per second, {} at once", self.per_second, self.burst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_a_second_unless_it_says_so() {
        let text = |rate, burst| Rate::new(rate, burst).unwrap().to_string();
        assert_eq!(text(2.0, None), "2 per second, 2 at once");
        assert_eq!(text(2.5, None), "2.5 per second, 3 at once");
        assert_eq!(text(0.1, None), "0.1 per second, 1 at once");
        assert_eq!(text(0.1, Some(7)), "0.1 per second, 7 at once");
    }

    #[test]
    fn what_nobody_can_mean_is_refused() {
        for wrong in [0.0, -1.0, 1e-9, 1e7, f64::NAN, f64::INFINITY] {
            assert!(Rate::new(wrong, None).is_err(), "{wrong}");
        }
        assert!(Rate::new(1.0, Some(0)).is_err());
    }
}
