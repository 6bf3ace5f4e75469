//! Histograms of Prometheus' text format, several nodes' added up.

use std::collections::BTreeMap;

/// Counts up to a bound, the bound in thousandths.
#[derive(Debug, Default, Clone)]
pub(crate) struct Histogram {
    counts: BTreeMap<u64, f64>,
}

/// Adds up a histogram of all texts whose labels have this duty.
pub(crate) fn read(texts: &[String], name: &str, duty: &str) -> Histogram {
    let (name, duty) = (format!("{name}_bucket{{"), format!("duty=\"{duty}\""));
    let mut sum = Histogram::default();
    for line in texts.iter().flat_map(|text| text.lines()) {
        let Some((labels, value)) = line.strip_prefix(&name).and_then(|rest| rest.rsplit_once("} ")) else {
            continue;
        };
        let bound = labels.split(',').find_map(|label| label.strip_prefix("le=\"")?.strip_suffix('"'));
        let (Some(bound), true) = (bound, labels.contains(&duty)) else { continue };
        let bound = bound.parse::<f64>().map_or(u64::MAX, |s| (s * 1e6).min(1e18) as u64);
        *sum.counts.entry(bound).or_default() += value.parse::<f64>().unwrap_or(0.0);
    }
    sum
}

impl Histogram {
    /// What came after another reading.
    pub(crate) fn since(&self, before: &Histogram) -> Histogram {
        let less =
            |(bound, count): (&u64, &f64)| (*bound, count - before.counts.get(bound).copied().unwrap_or(0.0));
        Histogram { counts: self.counts.iter().map(less).collect() }
    }

    /// Below which value a share of all is, in seconds; evenly spread within a bucket.
    pub(crate) fn quantile(&self, share: f64) -> f64 {
        let total = self.counts.values().next_back().copied().unwrap_or(0.0);
        let wanted = total * share;
        let (mut low, mut below) = (0.0, 0.0);
        for (bound, count) in &self.counts {
            let high = *bound as f64 / 1e6;
            if *count >= wanted && *count > below {
                // The last bucket has no upper end.
                return if *bound >= 1_000_000_000 {
                    low
                } else {
                    low + (high - low) * (wanted - below) / (count - below)
                };
            }
            (low, below) = (high, *count);
        }
        f64::NAN
    }
}
