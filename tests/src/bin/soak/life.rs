//! The life of one daemon: what it took at the end of each quiet time, and whether that grew.

use crate::host::{Process, Size};
use crate::scene::UNCACHED;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// The first of its time, in which it fills what it keeps.
const WARM: Duration = Duration::from_secs(600);
/// A life shorter than this after that says nothing about hours.
const LONG: Duration = Duration::from_secs(1200);
/// Kilobytes per hour, of RSS and of the heap in use of who keeps no caches.
pub(crate) const SLOPE_MAX: f64 = 100.0;

pub(crate) struct Life {
    pub(crate) node: String,
    pub(crate) process: Process,
    begun: Instant,
    /// When it had as many events as it keeps: until then that history grows.
    pub(crate) full: Option<Instant>,
    /// Time of its life, groups that it runs, and what it took.
    samples: Vec<(Duration, String, Size)>,
}

/// What a life comes to.
#[derive(serde::Serialize)]
pub(crate) struct Figures {
    node: String,
    minutes: f64,
    samples: usize,
    /// Minutes of its life, RSS, own memory and heap in use in kB, descriptors: every sample.
    series: Vec<(f64, u64, u64, u64, u64)>,
    used_kb: (u64, u64),
    rss_kb: (u64, u64),
    own_kb: (u64, u64),
    /// Kilobytes per hour after the first ten minutes, where it was long enough.
    slope_kb_per_hour: Option<f64>,
    /// The same of the heap that is in use: what is taken from the kernel beforehand does not hide it.
    used_slope_kb_per_hour: Option<f64>,
    own_slope_kb_per_hour: Option<f64>,
    /// Least and most, by the groups that it ran.
    descriptors: BTreeMap<String, (u64, u64)>,
    threads: BTreeSet<u64>,
}

impl Life {
    pub(crate) fn begin(node: &str, process: Process) -> Life {
        Life {
            node: node.to_owned(),
            process,
            begun: Instant::now(),
            full: None,
            samples: Vec::new(),
        }
    }

    pub(crate) fn sample(&mut self, groups: String, size: Size) {
        self.samples.push((self.begun.elapsed(), groups, size));
    }

    pub(crate) fn figures(&self) -> Figures {
        let ends = |what: fn(&Size) -> u64| {
            let of = |sample: Option<&(Duration, String, Size)>| sample.map_or(0, |s| what(&s.2));
            (of(self.samples.first()), of(self.samples.last()))
        };
        let mut descriptors: BTreeMap<String, (u64, u64)> = BTreeMap::new();
        for (_, groups, size) in &self.samples {
            let now = size.descriptors;
            let bounds = descriptors.entry(groups.clone()).or_insert((now, now));
            *bounds = (bounds.0.min(now), bounds.1.max(now));
        }
        Figures {
            node: self.node.clone(),
            minutes: self.samples.last().map_or(0.0, |last| last.0.as_secs_f64() / 60.0),
            samples: self.samples.len(),
            series: self
                .samples
                .iter()
                .map(|(at, _, size)| {
                    let minute = (at.as_secs_f64() / 6.0).round() / 10.0;
                    (minute, size.rss, size.own, size.used.unwrap_or(0), size.descriptors)
                })
                .collect(),
            used_kb: ends(|size| size.used.unwrap_or(0)),
            rss_kb: ends(|size| size.rss),
            own_kb: ends(|size| size.own),
            slope_kb_per_hour: self.slope(|size| Some(size.rss)),
            used_slope_kb_per_hour: self.slope(|size| size.used),
            own_slope_kb_per_hour: self.slope(|size| Some(size.own)),
            descriptors,
            threads: self.samples.iter().map(|(_, _, size)| size.threads).collect(),
        }
    }

    fn slope(&self, what: fn(&Size) -> Option<u64>) -> Option<f64> {
        let full = self.full?.saturating_duration_since(self.begun);
        let warm = self.samples.iter().filter(|(at, ..)| *at >= WARM.max(full));
        let points: Vec<(f64, f64)> = warm
            .filter_map(|(at, _, size)| {
                let kilobytes = u32::try_from(what(size)?).unwrap_or(u32::MAX);
                Some((at.as_secs_f64() / 3600.0, f64::from(kilobytes)))
            })
            .collect();
        let spread = points.last()?.0 - points.first()?.0;
        (points.len() >= 8 && spread >= LONG.as_secs_f64() / 3600.0).then(|| slope(&points))
    }
}

impl Figures {
    /// Short lives are only counted.
    pub(crate) fn is_worth_keeping(&self) -> bool {
        self.samples > 3
    }

    /// Whether it was long enough to say how memory grows.
    pub(crate) fn is_long(&self) -> bool {
        self.slope_kb_per_hour.is_some()
    }

    /// What of it grew that must not.
    pub(crate) fn faults(&self) -> Vec<String> {
        let mut found = Vec::new();
        if let Some(slope) = self.slope_kb_per_hour.filter(|slope| *slope >= SLOPE_MAX) {
            found.push(format!("crmd on {} grew by {slope:.0} kB per hour", self.node));
        }
        match self.used_slope_kb_per_hour {
            _ if self.node != UNCACHED => {}
            Some(slope) if slope >= SLOPE_MAX => {
                found.push(format!(
                    "crmd on {} used {slope:.0} kB of its heap more per hour",
                    self.node
                ));
            }
            None if self.is_long() => {
                found.push(format!("crmd on {} did not tell of its heap", self.node));
            }
            _ => {}
        }
        for (groups, (least, most)) in &self.descriptors {
            if least != most {
                let node = &self.node;
                found.push(format!(
                    "crmd on {node} had {least} to {most} descriptors with [{groups}]"
                ));
            }
        }
        if self.threads.len() > 1 {
            found.push(format!("crmd on {} had {:?} threads", self.node, self.threads));
        }
        found
    }
}

/// Least squares.
fn slope(points: &[(f64, f64)]) -> f64 {
    let count = f64::from(u32::try_from(points.len()).unwrap_or(u32::MAX));
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(|p| p.0), mean(|p| p.1));
    let over: f64 = points.iter().map(|p| (p.0 - x) * (p.1 - y)).sum();
    let under: f64 = points.iter().map(|p| (p.0 - x).powi(2)).sum();
    over / under
}

#[cfg(test)]
mod tests {
    use super::slope;

    #[test]
    fn i10_the_slope_is_the_growth_per_hour() {
        let grows: Vec<(f64, f64)> = (0..60_u32)
            .map(|n| (f64::from(n) / 60.0, 9000.0 + 2.0 * f64::from(n) + f64::from(n % 2)))
            .collect();
        assert!((slope(&grows) - 120.0).abs() < 2.0, "{}", slope(&grows));
        let flat: Vec<(f64, f64)> = (0..60_u32).map(|n| (f64::from(n), f64::from(n % 3))).collect();
        assert!(slope(&flat).abs() < 0.01);
    }
}
