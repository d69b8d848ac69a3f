//! AdamW with decoupled weight decay (Loshchilov & Hutter 2019), all state open to a checkpoint.
//!
//! All cores share a step. Values are cut at fixed places and sums are taken in a fixed order, so the
//! result does not depend on the number of threads.

use rayon::prelude::*;

/// Values that one thread takes at a time; also where sums are cut.
const CHUNK: usize = 1 << 14;

/// How a parameter is treated beside the others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Group {
    /// Multiplies the learning rate.
    pub rate: f64,
    /// Whether weight decay acts on it.
    pub decay: bool,
}

impl Default for Group {
    fn default() -> Group {
        Group { rate: 1.0, decay: true }
    }
}

/// The optimiser and its moments, in the order of the parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct AdamW {
    /// β₁.
    pub beta1: f64,
    /// β₂.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub eps: f64,
    /// Decoupled decay per step, times the rate.
    pub weight_decay: f64,
    /// Steps taken.
    pub step: u64,
    /// First moments.
    pub m: Vec<Vec<f32>>,
    /// Second moments.
    pub v: Vec<Vec<f32>>,
    /// One per parameter.
    groups: Vec<Group>,
}

/// The same stretch of a parameter, its gradient and its moments.
struct Stretch<'a> {
    w: &'a mut [f32],
    g: &'a [f32],
    m: &'a mut [f32],
    v: &'a mut [f32],
    group: Group,
}

impl AdamW {
    /// Zero moments for parameters of these sizes; β = (0.9, 0.999), ε = 1e-8.
    pub fn new(sizes: impl Iterator<Item = usize>, weight_decay: f64) -> AdamW {
        let m: Vec<Vec<f32>> = sizes.map(|n| vec![0.0; n]).collect();
        let groups = vec![Group::default(); m.len()];
        AdamW { beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay, step: 0, v: m.clone(), m, groups }
    }

    /// The same with parameter `i` treated as `group(i)`.
    #[must_use]
    pub fn with_groups(mut self, group: impl Fn(usize) -> Group) -> AdamW {
        self.groups = (0..self.m.len()).map(group).collect();
        self
    }

    /// Learning rate and weight decay of every parameter at rate `lr`.
    pub fn rates(&self, lr: f64) -> Vec<(f64, f64)> {
        let of = |group: &Group| (lr * group.rate, if group.decay { self.weight_decay } else { 0.0 });
        self.groups.iter().map(of).collect()
    }

    /// One step at rate `lr`; gradients are multiplied by `scale` first (clipping).
    pub fn update(&mut self, parameters: Vec<&mut [f32]>, gradients: &[&[f32]], lr: f64, scale: f64) {
        self.step += 1;
        let power = i32::try_from(self.step).unwrap_or(i32::MAX);
        let (b1, b2) = (self.beta1 as f32, self.beta2 as f32);
        // 1 − β is formed in f64: in f32 0.999 is so far off that the difference would be wrong by 5e-5 of itself.
        let (c1, c2) = ((1.0 - self.beta1) as f32, (1.0 - self.beta2) as f32);
        let first = 1.0 - self.beta1.powi(power);
        let root = (1.0 - self.beta2.powi(power)).sqrt() as f32;
        let (eps, scale) = (self.eps as f32, scale as f32);
        let weight_decay = self.weight_decay;
        let mut stretches = Vec::new();
        let moments = self.m.iter_mut().zip(&mut self.v).zip(&self.groups);
        for ((w, g), ((m, v), group)) in parameters.into_iter().zip(gradients).zip(moments) {
            let parts = w.chunks_mut(CHUNK).zip(g.chunks(CHUNK)).zip(m.chunks_mut(CHUNK)).zip(v.chunks_mut(CHUNK));
            stretches.extend(parts.map(|(((w, g), m), v)| Stretch { w, g, m, v, group: *group }));
        }
        stretches.into_par_iter().for_each(|Stretch { w, g, m, v, group }| {
            let lr = lr * group.rate;
            let rate = (lr / first) as f32;
            let decay = if group.decay { (1.0 - lr * weight_decay) as f32 } else { 1.0 };
            for (((w, g), m), v) in w.iter_mut().zip(g).zip(m).zip(v) {
                let g = g * scale;
                *m = b1 * *m + c1 * g;
                *v = b2 * *v + c2 * g * g;
                *w = *w * decay - rate * *m / (v.sqrt() / root + eps);
            }
        });
    }
}

/// Euclidean norm over all gradients.
pub fn global_norm(gradients: &[&[f32]]) -> f64 {
    let parts: Vec<&[f32]> = gradients.iter().flat_map(|part| part.chunks(CHUNK)).collect();
    let squares: Vec<f64> = parts.into_par_iter().map(square_sum).collect();
    squares.iter().sum::<f64>().sqrt()
}

/// Σx², in eight sums side by side: one sum alone would wait for each of its additions.
fn square_sum(values: &[f32]) -> f64 {
    let (eights, rest) = values.as_chunks::<8>();
    let mut sums = [0.0f64; 8];
    for eight in eights {
        for (sum, x) in sums.iter_mut().zip(eight) {
            *sum += f64::from(*x) * f64::from(*x);
        }
    }
    sums.iter().sum::<f64>() + rest.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>()
}

/// The factor that brings a gradient of norm `norm` down to `limit`; 1 when it is short enough or `limit` is 0.
pub fn clip_coefficient(norm: f64, limit: f64) -> f64 {
    if limit > 0.0 && norm > limit { limit / (norm + 1e-6) } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_steps_follow_the_published_update() {
        // Worked by hand for one parameter: w=1, g=0.5 then -0.25, lr=0.1, decay=0.1.
        let mut w = [1.0f32];
        let mut adam = AdamW::new([1usize].into_iter(), 0.1);
        adam.update(vec![&mut w], &[&[0.5]], 0.1, 1.0);
        // Step 1: m̂ = 0.5, v̂ = 0.25 → w = 1·(1−0.01) − 0.1·0.5/0.5 = 0.89.
        assert!((w[0] - 0.89).abs() < 1e-6, "{}", w[0]);
        adam.update(vec![&mut w], &[&[-0.25]], 0.1, 1.0);
        let m_hat = (0.9 * 0.05 + 0.1 * -0.25) / (1.0 - 0.81);
        let v_hat: f64 = (0.999 * 0.000_25 + 0.001 * 0.0625) / (1.0 - 0.998_001);
        let expected = 0.89 * 0.99 - 0.1 * m_hat / v_hat.sqrt();
        assert!((f64::from(w[0]) - expected).abs() < 1e-5, "{} {expected}", w[0]);
    }

    #[test]
    fn a_group_has_its_own_rate_and_may_be_free_of_decay() {
        let (mut a, mut b, mut c) = ([1.0f32], [1.0f32], [1.0f32]);
        let mut adam = AdamW::new([1usize, 1, 1].into_iter(), 0.1).with_groups(|i| match i {
            1 => Group { rate: 4.0, decay: true },
            2 => Group { rate: 1.0, decay: false },
            _ => Group::default(),
        });
        adam.update(vec![&mut a, &mut b, &mut c], &[&[0.5], &[0.5], &[0.5]], 0.1, 1.0);
        // The first step moves by the rate: 0.1 beside a decay of 0.01; four times both; 0.1 alone.
        for (got, expected) in [(a[0], 0.89), (b[0], 0.56), (c[0], 0.9)] {
            assert!((got - expected).abs() < 1e-5, "{got} {expected}");
        }
    }

    #[test]
    fn the_number_of_threads_changes_no_bit() {
        let sizes = [3 * CHUNK + 5, 1, CHUNK, 777];
        let values = |salt: u32| -> Vec<Vec<f32>> {
            let value = |i: usize| ((i as u32).wrapping_mul(2_654_435_761 ^ salt) as f32 / u32::MAX as f32 - 0.5) * 3.0;
            sizes.iter().map(|n| (0..*n).map(value).collect()).collect()
        };
        let run = |threads: usize| {
            rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(|| {
                let (mut w, g) = (values(1), values(2));
                let g: Vec<&[f32]> = g.iter().map(|g| &g[..]).collect();
                let mut adam = AdamW::new(sizes.into_iter(), 0.01);
                for _ in 0..3 {
                    adam.update(w.iter_mut().map(|w| &mut w[..]).collect(), &g, 1e-2, 0.5);
                }
                (w, adam, global_norm(&g))
            })
        };
        let (one, three) = (run(1), run(3));
        assert_eq!((&one.0, &one.1, one.2.to_bits()), (&three.0, &three.1, three.2.to_bits()));
        let plain: f64 = values(2).concat().iter().map(|x| f64::from(*x) * f64::from(*x)).sum();
        assert!((one.2 / plain.sqrt() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn clipping_shortens_only_long_gradients() {
        let g: [&[f32]; 2] = [&[3.0], &[4.0]];
        assert_eq!(global_norm(&g), 5.0);
        assert!((clip_coefficient(5.0, 1.0) - 0.2).abs() < 1e-6);
        assert_eq!(clip_coefficient(0.5, 1.0), 1.0);
        assert_eq!(clip_coefficient(5.0, 0.0), 1.0);
    }
}
