//! What a person sees of long work: a bar, a rate, the time left.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::backfill::{Stage, Watch};

/// A bar a stage, on a terminal; nothing where no terminal is.
#[derive(Debug)]
pub(super) struct Bars {
    current: Mutex<Option<(ProgressBar, Instant)>>,
}

impl Bars {
    pub(super) fn new() -> Self {
        Self { current: Mutex::new(None) }
    }

    pub(super) fn finish(&self) {
        if let Some((bar, _)) = self.current.lock().unwrap_or_else(PoisonError::into_inner).take() {
            bar.finish_and_clear();
        }
    }
}

impl Watch for Bars {
    fn begin(&self, stage: Stage, total: u64) {
        self.finish();
        let template = match stage {
            Stage::Read => "reading   {bar:30} {bytes:>10} of {total_bytes}  {msg}  {eta} left",
            Stage::Write => "computing {bar:30} {human_pos:>10} of {human_len}  {msg}  {eta} left",
        };
        let bar = ProgressBar::new(total);
        // A template that does not parse would be a mistake above; the default style serves as well.
        bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.enable_steady_tick(Duration::from_millis(200));
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Some((bar, Instant::now()));
    }

    fn done(&self, amount: u64, events: u64) {
        if let Some((bar, since)) = &*self.current.lock().unwrap_or_else(PoisonError::into_inner) {
            bar.set_position(amount);
            let rate = events as f64 / since.elapsed().as_secs_f64().max(1e-3);
            bar.set_message(format!("{} events/s", thousands(rate as u64)));
        }
    }
}

/// A stopwatch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stopwatch(Instant);

impl Stopwatch {
    pub(super) fn start() -> Self {
        Self(Instant::now())
    }

    pub(super) fn secs(self) -> f64 {
        self.0.elapsed().as_secs_f64()
    }
}

/// `1234567` as `1,234,567`.
pub(super) fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_grouped() {
        assert_eq!(thousands(0), "0");
        assert_eq!(thousands(999), "999");
        assert_eq!(thousands(1_000), "1,000");
        assert_eq!(thousands(1_234_567), "1,234,567");
    }
}
