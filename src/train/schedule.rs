//! Learning-rate schedules.

use crate::error::{Error, Kind, Result};
use crate::tr;
use serde::{Deserialize, Serialize};

/// How the learning rate moves after the warm-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// Half a cosine down to 0 (Loshchilov & Hutter 2017).
    Cosine,
    /// A straight line down to 0.
    Linear,
    /// Stays.
    Constant,
    /// Warm-up, stable, decay (Hu et al. 2024, MiniCPM): stays, and falls in a straight line to 0 over the last
    /// fifth of the steps, the share that Hägele et al. 2024 find sufficient.
    Wsd,
}

/// Share of all steps in which [`Schedule::Wsd`] falls.
const WSD_DECAY: f64 = 0.2;

impl Schedule {
    /// Reads `--schedule`.
    ///
    /// # Errors
    /// `Usage` that lists the names.
    pub fn parse(name: &str) -> Result<Schedule> {
        let all = [Schedule::Cosine, Schedule::Linear, Schedule::Constant, Schedule::Wsd];
        all.into_iter().find(|s| s.name() == name).ok_or_else(|| {
            let name = name.escape_default();
            Error::new(Kind::Usage, tr!("unknown schedule `{name}`", "未知的学习率曲线 `{name}`"))
                .hint(tr!("use cosine, linear, constant or wsd", "可用 cosine、linear、constant 或 wsd"))
        })
    }

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Schedule::Cosine => "cosine",
            Schedule::Linear => "linear",
            Schedule::Constant => "constant",
            Schedule::Wsd => "wsd",
        }
    }

    /// The factor on the highest rate at step `step` (from 1) of `total`. In the warm-up the rate rises
    /// in equal parts and the first step already learns (transformers' first step has rate 0).
    pub fn factor(self, step: u64, total: u64, warmup: f64) -> f64 {
        let warm = (total as f64 * warmup).round();
        let step = step as f64;
        if step <= warm {
            return step / warm;
        }
        // 0 at the first step after `from`, 1 just after the last step.
        let since = |from: f64| ((step - from - 1.0) / (total as f64 - from).max(1.0)).clamp(0.0, 1.0);
        let progress = since(warm);
        match self {
            Schedule::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * progress).cos()),
            Schedule::Linear => 1.0 - progress,
            Schedule::Constant => 1.0,
            Schedule::Wsd => 1.0 - since((total as f64 * (1.0 - WSD_DECAY)).round().max(warm)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_rises_peaks_and_falls_and_is_never_zero() {
        for schedule in [Schedule::Cosine, Schedule::Linear] {
            let rates: Vec<f64> = (1..=100).map(|s| schedule.factor(s, 100, 0.1)).collect();
            assert!(rates[..10].windows(2).all(|w| w[0] < w[1]));
            assert_eq!(rates[9], 1.0);
            assert!(rates[10..].windows(2).all(|w| w[0] > w[1]));
            assert!(rates.iter().all(|r| *r > 0.0));
        }
        assert_eq!(Schedule::Constant.factor(1, 10, 0.0), 1.0);
        assert!((Schedule::Cosine.factor(51, 100, 0.0) - 0.5).abs() < 1e-12);
    }

    #[test]
    fn wsd_stays_at_the_top_and_falls_over_the_last_fifth() {
        let rate = |step| Schedule::Wsd.factor(step, 100, 0.1);
        assert!((rate(5) - 0.5).abs() < 1e-12);
        assert!((10..=81).all(|step| rate(step) == 1.0));
        // The twenty last steps go down by a twentieth each, and the last one still learns.
        assert!((82..=100).all(|step| (rate(step - 1) - rate(step) - 0.05).abs() < 1e-12));
        assert!(rate(100) > 0.0);
        // A warm-up that reaches into the decay is followed by what is left of it; one step is a training too.
        assert_eq!(Schedule::Wsd.factor(90, 100, 0.9), 1.0);
        assert!(Schedule::Wsd.factor(99, 100, 0.9) < 0.3);
        assert_eq!(Schedule::Wsd.factor(1, 1, 0.0), 1.0);
    }
}
