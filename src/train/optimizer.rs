//! AdamW with decoupled weight decay (Loshchilov & Hutter 2019), all state open to a checkpoint.

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
}

impl AdamW {
    /// Zero moments for parameters of these sizes; β = (0.9, 0.999), ε = 1e-8.
    pub fn new(sizes: impl Iterator<Item = usize>, weight_decay: f64) -> AdamW {
        let m: Vec<Vec<f32>> = sizes.map(|n| vec![0.0; n]).collect();
        AdamW { beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay, step: 0, v: m.clone(), m }
    }

    /// One step at rate `lr`; gradients are multiplied by `scale` first (clipping).
    pub fn update(&mut self, parameters: Vec<&mut [f32]>, gradients: &[&[f32]], lr: f64, scale: f64) {
        self.step += 1;
        let power = i32::try_from(self.step).unwrap_or(i32::MAX);
        let (b1, b2) = (self.beta1 as f32, self.beta2 as f32);
        // 1 − β is formed in f64: in f32 0.999 is so far off that the difference would be wrong by 5e-5 of itself.
        let (c1, c2) = ((1.0 - self.beta1) as f32, (1.0 - self.beta2) as f32);
        let rate = (lr / (1.0 - self.beta1.powi(power))) as f32;
        let root = (1.0 - self.beta2.powi(power)).sqrt() as f32;
        let (eps, scale) = (self.eps as f32, scale as f32);
        let decay = (1.0 - lr * self.weight_decay) as f32;
        for (((w, g), m), v) in parameters.into_iter().zip(gradients).zip(&mut self.m).zip(&mut self.v) {
            for (((w, g), m), v) in w.iter_mut().zip(*g).zip(m).zip(v) {
                let g = g * scale;
                *m = b1 * *m + c1 * g;
                *v = b2 * *v + c2 * g * g;
                *w = *w * decay - rate * *m / (v.sqrt() / root + eps);
            }
        }
    }
}

/// Euclidean norm over all gradients.
pub fn global_norm(gradients: &[&[f32]]) -> f64 {
    let square = |part: &&[f32]| part.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>();
    gradients.iter().map(square).sum::<f64>().sqrt()
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
    fn clipping_shortens_only_long_gradients() {
        let g: [&[f32]; 2] = [&[3.0], &[4.0]];
        assert_eq!(global_norm(&g), 5.0);
        assert!((clip_coefficient(5.0, 1.0) - 0.2).abs() < 1e-6);
        assert_eq!(clip_coefficient(0.5, 1.0), 1.0);
        assert_eq!(clip_coefficient(5.0, 0.0), 1.0);
    }
}
