//! Watches a training's figures: the smoothed loss, and signs that something is wrong, each said once per run.
//!
//! | sign | rule |
//! | --- | --- |
//! | diverging | the loss is above twice that of the first step for three steps on end; or, after the warm-up, the smoothed loss is above 1.5 times its lowest value, and by at least 0.1 nats |
//! | still | over 50 steps on end the smoothed loss stays within 0.1 % |
//! | no gradient | the gradient's norm is exactly 0 |
//! | idle factors | after 3 steps some B has no value above 1e-8: it is where it started, at 0 |

use crate::tr;
use serde::{Deserialize, Serialize};

/// β of the smoothed loss: `mean = β·mean + (1−β)·loss`, divided by `1−βᵗ` (the bias correction of Adam), so that the
/// first value is the first loss.
pub const SMOOTHING: f64 = 0.9;

/// Steps after which B must have moved.
pub const IDLE_AFTER: u64 = 3;

/// A B factor without a larger value has not moved: the optimiser's steps are about as long as the learning rate.
pub const IDLE: f32 = 1e-8;

/// Losses that are so many times the first for so many steps on end cannot be the rows' doing.
const BEYOND_FIRST: f64 = 2.0;
const BEYOND_STEPS: u64 = 3;

/// A smoothed loss of fewer losses is too uncertain to be the lowest.
const SETTLED: u64 = 10;
const DIVERGED: f64 = 1.5;
/// Once rows are learnt by heart, 1.5 times nearly nothing is still nearly nothing.
const DIVERGED_NATS: f64 = 0.1;
const STILL_STEPS: u64 = 50;
const STILL: f64 = 1e-3;

/// A sign that something is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sign {
    /// The loss rises.
    Diverging,
    /// The loss does not move.
    Still,
    /// The gradient is zero.
    NoGradient,
    /// Factors do not learn.
    IdleFactors,
}

/// What is remembered of the steps so far; part of a checkpoint, so that a resumed run says the same.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Watch {
    /// Exponential mean before the bias correction.
    mean: f64,
    /// Losses in it.
    count: u64,
    /// The first loss.
    #[serde(default)]
    first: Option<f64>,
    /// Steps on end whose loss was far beyond the first.
    #[serde(default)]
    beyond: u64,
    /// Lowest smoothed loss.
    lowest: Option<f64>,
    /// First step, lowest and highest smoothed loss of the window in progress.
    window: Option<(u64, f64, f64)>,
    /// Signs that were said.
    said: Vec<Sign>,
}

impl Watch {
    /// The smoothed loss, in nats; 0 before the first step.
    pub fn smoothed(&self) -> f64 {
        let weight = 1.0 - SMOOTHING.powf(self.count as f64);
        if weight > 0.0 { self.mean / weight } else { 0.0 }
    }

    /// Takes the figures of a step; gives the signs that have not been said before, each with words for people.
    pub fn see(&mut self, step: u64, loss: f64, grad_norm: f64, warming_up: bool) -> Vec<(Sign, String)> {
        self.mean = SMOOTHING * self.mean + (1.0 - SMOOTHING) * loss;
        self.count += 1;
        let smoothed = self.smoothed();
        let mut signs = Vec::new();
        let first = *self.first.get_or_insert(loss);
        // One bad batch is no divergence.
        self.beyond = if loss > BEYOND_FIRST * first && loss - first > DIVERGED_NATS { self.beyond + 1 } else { 0 };
        if self.beyond >= BEYOND_STEPS {
            let message = tr!(
                "the loss has risen to {loss:.3} from {first:.3} at the first step; a lower --lr or a longer --warmup helps",
                "损失已从第一步的 {first:.3} 升到 {loss:.3}；可调低 --lr 或加长 --warmup"
            );
            signs.push((Sign::Diverging, message));
        }
        if self.count >= SETTLED {
            let lowest = self.lowest.map_or(smoothed.min(first), |lowest| lowest.min(smoothed));
            self.lowest = Some(lowest);
            if !warming_up && smoothed > DIVERGED * lowest && smoothed - lowest > DIVERGED_NATS {
                let message = tr!(
                    "the loss is rising: {smoothed:.3} (smoothed) after a lowest value of {lowest:.3}; a lower --lr or a longer --warmup helps",
                    "损失在上升：平滑值 {smoothed:.3}，此前最低 {lowest:.3}；可调低 --lr 或加长 --warmup"
                );
                signs.push((Sign::Diverging, message));
            }
        }
        if self.is_still(step, smoothed) {
            let message = tr!(
                "the loss has stayed at {smoothed:.4} (smoothed) for {STILL_STEPS} steps: it has nothing left to learn, or --lr is too low",
                "损失（平滑值）连续 {STILL_STEPS} 步停在 {smoothed:.4}：已无可学，或 --lr 过低"
            );
            signs.push((Sign::Still, message));
        }
        if grad_norm == 0.0 {
            let message = tr!(
                "the gradient is zero: this step learnt nothing; look at the rows with `data preview`",
                "梯度为零：这一步没有学到任何东西；请用 `data preview` 查看数据"
            );
            signs.push((Sign::NoGradient, message));
        }
        signs.retain(|(sign, _)| self.say(*sign));
        signs
    }

    /// Takes the B factors that are still zero (see [`IDLE`]) after [`IDLE_AFTER`] steps, out of `all`.
    pub fn see_idle(&mut self, idle: &[String], all: usize) -> Option<(Sign, String)> {
        let (first, count) = (idle.first()?, idle.len());
        let message = tr!(
            "{count} of {all} B factors are still where they started, at zero, after {IDLE_AFTER} steps: they do not learn, or --lr is far too low (the first: {first})",
            "{IDLE_AFTER} 步之后，{all} 个 B 因子中仍有 {count} 个停在起点零：它们没有在学习，或 --lr 过低（第一个：{first}）"
        );
        self.say(Sign::IdleFactors).then_some((Sign::IdleFactors, message))
    }

    /// Whether a window ends here in which the smoothed loss kept within [`STILL`] of itself.
    fn is_still(&mut self, step: u64, smoothed: f64) -> bool {
        let (first, low, high) = self.window.unwrap_or((step, smoothed, smoothed));
        let (low, high) = (low.min(smoothed), high.max(smoothed));
        let still = high - low < STILL * high;
        // A step that leaves the band begins the next window.
        self.window = Some(if still { (first, low, high) } else { (step, smoothed, smoothed) });
        still && step - first >= STILL_STEPS
    }

    fn say(&mut self, sign: Sign) -> bool {
        let new = !self.said.contains(&sign);
        if new {
            self.said.push(sign);
        }
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Steps at which signs come up in a series of losses, with a warm-up of ten steps.
    fn signs(losses: impl Iterator<Item = f64>) -> Vec<(u64, Sign)> {
        let mut watch = Watch::default();
        let see = |(i, loss)| {
            let step = i as u64 + 1;
            watch.see(step, loss, 1.0, step <= 10).into_iter().map(|(sign, _)| (step, sign)).collect::<Vec<_>>()
        };
        losses.enumerate().flat_map(see).collect()
    }

    /// Noise in ±1 that repeats.
    fn noise(i: u32) -> f64 {
        f64::from(i.wrapping_mul(2_654_435_761) >> 8) / f64::from(1 << 23) - 1.0
    }

    #[test]
    fn the_smoothed_loss_begins_at_the_first_and_forgets_it() {
        let mut watch = Watch::default();
        assert_eq!(watch.smoothed(), 0.0);
        watch.see(1, 4.0, 1.0, false);
        assert!((watch.smoothed() - 4.0).abs() < 1e-12);
        watch.see(2, 2.0, 1.0, false);
        // (0.9·0.1·4 + 0.1·2) / (1 − 0.81)
        assert!((watch.smoothed() - 0.56 / 0.19).abs() < 1e-12);
        for step in 3..200 {
            watch.see(step, 2.0, 1.0, false);
        }
        assert!((watch.smoothed() - 2.0).abs() < 1e-6);
    }

    #[test]
    fn a_healthy_noisy_training_is_left_alone() {
        let losses = (0..2000).map(|i| 1.0 + 2.0 * (-f64::from(i) / 300.0).exp() + 0.3 * noise(i));
        assert_eq!(signs(losses), []);
        // Learnt by heart: tiny losses that double and halve.
        let losses = (0..500).map(|i| 3.0 * (-f64::from(i) / 20.0).exp() + 0.005 * (1.5 + noise(i)));
        assert_eq!(signs(losses), []);
        // A high plateau with the noise of different rows moves more than 0.1 %.
        assert_eq!(signs((0..500).map(|i| 3.0 + 0.2 * noise(i))), []);
    }

    #[test]
    fn a_rising_loss_is_said_once_and_not_in_the_warm_up() {
        let up = |from: u32| (0..300).map(move |i| if i < from { 2.0 - f64::from(i) * 0.01 } else { 6.0 });
        let said = signs(up(60));
        assert_eq!(said.iter().filter(|(_, sign)| *sign == Sign::Diverging).count(), 1);
        assert!((62..70).contains(&said[0].0), "{said:?}");
        // Risen by a half in the warm-up already: said as soon as that is over and the mean is settled.
        let half = |i| if i < 5 { 2.0 } else { 3.5 };
        let said = signs((0..300).map(half));
        assert!(said[0].1 == Sign::Diverging && said[0].0 > 10, "{said:?}");
        // Risen threefold: said at once.
        let said = signs((0..4).map(|i| if i < 1 { 2.0 } else { 6.0 }));
        assert_eq!(said, [(4, Sign::Diverging)]);
        // One bad batch is no divergence.
        assert_eq!(signs((0..100).map(|i| 2.0 + 0.3 * noise(i) + if i == 50 { 5.0 } else { 0.0 })), []);
    }

    #[test]
    fn a_loss_that_does_not_move_is_said_after_fifty_steps() {
        assert_eq!(signs((0..50).map(|_| 2.5)), []);
        assert_eq!(signs((0..200).map(|_| 2.5)), [(51, Sign::Still)]);
        assert_eq!(signs((0..200).map(|i| 2.5 + 1e-4 * noise(i))), [(51, Sign::Still)]);
        let falling_then_still = (0..400).map(|i| if i < 100 { 4.0 - 0.02 * f64::from(i) } else { 2.0 });
        let said = signs(falling_then_still);
        assert!(said.len() == 1 && (150..230).contains(&said[0].0), "{said:?}");
    }

    #[test]
    fn no_gradient_and_idle_factors_are_said_once() {
        let mut watch = Watch::default();
        assert_eq!(watch.see(1, 1.0, 0.0, false)[0].0, Sign::NoGradient);
        assert_eq!(watch.see(2, 1.0, 0.0, false), []);
        assert_eq!(watch.see_idle(&[], 4), None);
        let idle = ["q.lora_B".to_owned()];
        let (sign, message) = watch.see_idle(&idle, 4).unwrap();
        assert!(sign == Sign::IdleFactors && message.contains("q.lora_B"), "{message}");
        assert_eq!(watch.see_idle(&idle, 4), None);
        // What was said survives a checkpoint.
        let mut back: Watch = serde_json::from_str(&serde_json::to_string(&watch).unwrap()).unwrap();
        assert_eq!(back, watch);
        assert_eq!(back.see(3, 1.0, 0.0, false), []);
    }
}
