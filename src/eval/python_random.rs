//! Python's `random.Random`, as far as lm-evaluation-harness draws few-shots with it: a sampled prompt then equals the
//! harness's. The generator is MT19937 (Matsumoto and Nishimura, 1998), seeded by array as CPython seeds from integers.

const N: usize = 624;
const M: usize = 397;

/// A generator with the numbers of `random.Random(seed)`.
#[derive(Clone)]
pub struct PythonRandom {
    state: [u32; N],
    next: usize,
}

impl PythonRandom {
    /// Seeds it as `random.Random(seed)` does.
    pub fn new(seed: u64) -> PythonRandom {
        let mut state = [0u32; N];
        let mut value = 19_650_218u32;
        for (i, slot) in (0u32..).zip(&mut state) {
            if i > 0 {
                value = 1_812_433_253u32.wrapping_mul(value ^ (value >> 30)).wrapping_add(i);
            }
            *slot = value;
        }
        // The seed's 32-bit digits, the low one first, at least one.
        let (low, high) = (seed as u32, (seed >> 32) as u32);
        let key: &[u32] = if high == 0 { &[low] } else { &[low, high] };
        let mut random = PythonRandom { state, next: N };
        let mut i = 1;
        for (j, digit) in (0..N).map(|k| k % key.len()).zip((0..N).filter_map(|k| key.get(k % key.len()))) {
            let added = digit.wrapping_add(j as u32);
            i = random.mix(i, 1_664_525, added);
        }
        for _ in 1..N {
            let subtracted = (i as u32).wrapping_neg();
            i = random.mix(i, 1_566_083_941, subtracted);
        }
        random.state[0] = 0x8000_0000;
        random
    }

    /// One step of the seeding; gives the next place.
    fn mix(&mut self, i: usize, factor: u32, added: u32) -> usize {
        let before = self.state[i - 1];
        let mixed = (self.state[i] ^ (before ^ (before >> 30)).wrapping_mul(factor)).wrapping_add(added);
        self.state[i] = mixed;
        if i + 1 < N {
            return i + 1;
        }
        self.state[0] = mixed;
        1
    }

    fn next_u32(&mut self) -> u32 {
        if self.next == N {
            for k in 0..N {
                let y = (self.state[k] & 0x8000_0000) | (self.state[(k + 1) % N] & 0x7fff_ffff);
                let odd = if y & 1 == 1 { 0x9908_b0df } else { 0 };
                self.state[k] = self.state[(k + M) % N] ^ (y >> 1) ^ odd;
            }
            self.next = 0;
        }
        let mut y = self.state[self.next];
        self.next += 1;
        y ^= y >> 11;
        y ^= (y << 7) & 0x9d2c_5680;
        y ^= (y << 15) & 0xefc6_0000;
        y ^ (y >> 18)
    }

    /// A number below `n`, which lies in 1…2³².
    fn below(&mut self, n: usize) -> usize {
        let bits = usize::BITS - n.leading_zeros();
        loop {
            let drawn = (self.next_u32() >> (32 - bits.min(32))) as usize;
            if drawn < n {
                return drawn;
            }
        }
    }

    /// `random.sample(range(n), count)`; all of them where `count` is larger.
    pub fn sample(&mut self, n: usize, count: usize) -> Vec<usize> {
        let count = count.min(n);
        // Python shuffles a copy of a small population and remembers what it drew of a large one.
        let mut set_size = 21;
        if count > 5 {
            set_size += 4usize.pow(((count * 3) as f64).log(4.0).ceil() as u32);
        }
        if n <= set_size {
            let mut pool: Vec<usize> = (0..n).collect();
            return (0..count)
                .map(|i| {
                    let j = self.below(n - i);
                    let chosen = pool[j];
                    pool[j] = pool[n - i - 1];
                    chosen
                })
                .collect();
        }
        let mut chosen: Vec<usize> = Vec::with_capacity(count);
        while chosen.len() < count {
            let j = self.below(n);
            if !chosen.contains(&j) {
                chosen.push(j);
            }
        }
        chosen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From CPython 3.11: `r = random.Random(seed); [r.sample(range(n), k) for _ in range(2)]`.
    #[test]
    fn samples_are_python_s() {
        for (seed, n, k, first, second) in CASES {
            let mut random = PythonRandom::new(seed);
            assert_eq!(random.sample(n, k), first, "seed {seed}, {k} of {n}");
            assert_eq!(random.sample(n, k), second, "seed {seed}, {k} of {n}, again");
        }
        assert_eq!(PythonRandom::new(1).sample(2, 5).len(), 2);
    }

    type Case = (u64, usize, usize, &'static [usize], &'static [usize]);
    const CASES: [Case; 5] = [
        (1234, 7473, 5, &[6374, 3610, 957, 61, 742], &[7462, 6610, 4769, 286, 5501]),
        (1234, 5, 5, &[3, 0, 4, 2, 1], &[0, 4, 1, 3, 2]),
        (0, 21, 3, &[12, 13, 1], &[8, 16, 15]),
        (42, 100, 8, &[81, 14, 3, 94, 35, 31, 28, 17], &[94, 13, 86, 69, 11, 75, 54, 4]),
        (1099511627783, 300, 6, &[292, 243, 128, 64, 264, 192], &[266, 185, 201, 226, 230, 190]),
    ];
}
