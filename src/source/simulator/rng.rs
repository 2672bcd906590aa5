//! Random numbers that are the same on every machine and in every release.
//!
//! `rand`'s small generator may change with its version, and the logarithm of the platform's maths library may differ in
//! its last bit. A seed printed in a bug report has to replay the same bytes, so both are spelled out here: xoshiro256++
//! (Blackman and Vigna, <https://prng.di.unimi.it>), seeded by splitmix64, and a logarithm of plain IEEE arithmetic.

/// A million: shares are given in parts of it.
const PPM: u64 = 1_000_000;

/// Scrambles 64 bits. It is a bijection: different inputs give different outputs (splitmix64's finaliser).
pub(super) fn mix(x: u64) -> u64 {
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// xoshiro256++.
#[derive(Debug, Clone)]
pub(super) struct Rng {
    s: [u64; 4],
}

impl Rng {
    pub(super) fn seeded(seed: u64) -> Self {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            mix(state)
        };
        Self { s: [next(), next(), next(), next()] }
    }

    pub(super) fn next_u64(&mut self) -> u64 {
        let [a, b, c, d] = self.s;
        let out = a.wrapping_add(d).rotate_left(23).wrapping_add(a);
        let (c, d) = (c ^ a, d ^ b);
        self.s = [a ^ d, b ^ c, c ^ (b << 17), d.rotate_left(45)];
        out
    }

    /// Uniform in `0..n`; 0 when `n` is 0.
    pub(super) fn below(&mut self, n: u64) -> u64 {
        // The high half of the product is uniform enough: the bias is n / 2^64.
        ((u128::from(self.next_u64()) * u128::from(n)) >> 64) as u64
    }

    /// Uniform in `low..high`; `low` when the range is empty.
    pub(super) fn between(&mut self, low: i64, high: i64) -> i64 {
        low + self.below(u64::try_from(high - low).unwrap_or(0)) as i64
    }

    /// True in `ppm` cases of a million.
    pub(super) fn chance(&mut self, ppm: u32) -> bool {
        self.below(PPM) < u64::from(ppm)
    }

    /// One of the items, each as likely as the other.
    pub(super) fn one_of<T: Copy, const N: usize>(&mut self, items: &[T; N]) -> T {
        const { assert!(N > 0) }
        items[self.below(N as u64) as usize]
    }

    /// Exponentially distributed with this mean; the memoryless waiting time.
    pub(super) fn exponential(&mut self, mean: i64) -> i64 {
        // In (0, 1], with 53 random bits.
        let u = ((self.next_u64() >> 11) + 1) as f64 / (1u64 << 53) as f64;
        (-ln(u) * mean as f64) as i64
    }
}

/// Natural logarithm of a normal number in (0, 1], to about eight digits.
fn ln(x: f64) -> f64 {
    let bits = x.to_bits();
    let exponent = ((bits >> 52) & 0x7ff) as i64 - 1023;
    let mantissa = f64::from_bits((bits & ((1 << 52) - 1)) | (1023 << 52));
    // ln m = 2 artanh((m - 1) / (m + 1)), and the argument is below 1/3.
    let s = (mantissa - 1.0) / (mantissa + 1.0);
    let s2 = s * s;
    let mut term = s;
    let mut sum = 0.0;
    for odd in [1.0, 3.0, 5.0, 7.0, 9.0, 11.0, 13.0, 15.0] {
        sum += term / odd;
        term *= s2;
    }
    exponent as f64 * std::f64::consts::LN_2 + 2.0 * sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_pinned() {
        let mut rng = Rng::seeded(7);
        let first: Vec<u64> = (0..3).map(|_| rng.next_u64()).collect();
        assert_eq!(first, PINNED);
    }

    /// From an independent implementation of the published algorithm.
    const PINNED: [u64; 3] = [1_021_219_803_524_665_661, 3_174_977_118_032_272_916, 13_236_943_193_235_544_178];

    #[test]
    fn logarithm_is_right_to_eight_digits() {
        for x in [1.0, 0.9999, 0.75, 0.5, 0.3, 1e-3, 1e-15] {
            assert!((ln(x) - f64::ln(x)).abs() <= 1e-7, "{x}: {} {}", ln(x), f64::ln(x));
        }
    }

    #[test]
    fn waiting_times_have_their_mean() {
        let mut rng = Rng::seeded(1);
        let mean = (0..100_000).map(|_| rng.exponential(1_000_000)).sum::<i64>() / 100_000;
        assert!((980_000..1_020_000).contains(&mean), "{mean}");
    }

    #[test]
    fn shares_are_shares() {
        let mut rng = Rng::seeded(2);
        let hits = (0..100_000).filter(|_| rng.chance(100_000)).count();
        assert!((9_500..10_500).contains(&hits), "{hits}");
        assert!(!rng.chance(0));
        assert!(rng.chance(1_000_000));
    }
}
