//! Series as plain data, and how Prometheus reads them.
//!
//! <https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Series of one name that are kept: what outsiders can name (peers, clients, versions) must not fill memory.
const MAX_SERIES: usize = 20_000;

/// What kind of figure it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// It only rises.
    Counter,
    /// It is what it is now.
    Gauge,
    /// How often something was how much; with these upper bounds, rising.
    Histogram(&'static [f64]),
}

/// A name, and what all its series have in common.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Metric {
    /// The name; counters end in `_total`.
    pub name: &'static str,
    /// Its kind.
    pub kind: Kind,
    /// Names of its labels, in the order in which values are given.
    pub labels: &'static [&'static str],
    /// What it is, for people.
    pub help: &'static str,
}

/// The value of one series.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Of a counter or a gauge.
    Number(f64),
    /// Of a histogram: how many are in each class and in none below it, the last class being open; and their sum.
    Classes(Vec<u64>, f64),
}

/// Series by name and values of labels.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    families: BTreeMap<&'static str, Family>,
}

#[derive(Debug, Clone)]
struct Family {
    metric: Metric,
    series: BTreeMap<Vec<String>, Value>,
}

impl Registry {
    /// The series of these labels; none where there are too many of the name.
    fn series(&mut self, metric: &Metric, labels: &[&str]) -> Option<&mut Value> {
        debug_assert_eq!(metric.labels.len(), labels.len(), "{}", metric.name);
        let family = self
            .families
            .entry(metric.name)
            .or_insert_with(|| Family { metric: *metric, series: BTreeMap::new() });
        let labels: Vec<String> = labels.iter().map(|label| (*label).to_owned()).collect();
        if family.series.len() >= MAX_SERIES && !family.series.contains_key(&labels) {
            return None;
        }
        Some(family.series.entry(labels).or_insert_with(|| match metric.kind {
            Kind::Counter | Kind::Gauge => Value::Number(0.0),
            Kind::Histogram(bounds) => Value::Classes(vec![0; bounds.len() + 1], 0.0),
        }))
    }

    /// Sets a gauge, or a counter that is counted elsewhere.
    pub fn set(&mut self, metric: &Metric, labels: &[&str], value: f64) {
        if let Some(Value::Number(number)) = self.series(metric, labels) {
            *number = value;
        }
    }

    /// Sets a histogram that is kept elsewhere; `counts` has one class more than there are bounds.
    pub fn set_classes(&mut self, metric: &Metric, labels: &[&str], counts: Vec<u64>, sum: f64) {
        if let Some(Value::Classes(classes, all)) = self.series(metric, labels)
            && counts.len() == classes.len()
        {
            (*classes, *all) = (counts, sum);
        }
    }

    /// Raises a counter.
    pub fn add(&mut self, metric: &Metric, labels: &[&str], by: f64) {
        if let Some(Value::Number(number)) = self.series(metric, labels) {
            *number += by;
        }
    }

    /// Adds to a histogram.
    pub fn observe(&mut self, metric: &Metric, labels: &[&str], value: f64) {
        let Kind::Histogram(bounds) = metric.kind else { return };
        if let Some(Value::Classes(classes, sum)) = self.series(metric, labels) {
            classes[bounds.iter().position(|bound| value <= *bound).unwrap_or(bounds.len())] += 1;
            *sum += value;
        }
    }

    /// Forgets all series of a name: those that follow replace them.
    pub fn clear(&mut self, metric: &Metric) {
        if let Some(family) = self.families.get_mut(metric.name) {
            family.series.clear();
        }
    }

    /// Takes all series of another one.
    pub fn merge(&mut self, other: Registry) {
        for (name, family) in other.families {
            match self.families.entry(name) {
                std::collections::btree_map::Entry::Vacant(place) => {
                    place.insert(family);
                }
                std::collections::btree_map::Entry::Occupied(mut place) => {
                    place.get_mut().series.extend(family.series);
                }
            }
        }
    }

    /// All series of a name, with the values of their labels.
    pub fn of(&self, metric: &Metric) -> impl Iterator<Item = (&[String], &Value)> {
        let family = self.families.get(metric.name);
        family.into_iter().flat_map(|family| &family.series).map(|(labels, value)| (labels.as_slice(), value))
    }

    /// Numbers of a name.
    pub fn numbers(&self, metric: &Metric) -> impl Iterator<Item = (&[String], f64)> {
        self.of(metric).filter_map(|(labels, value)| match value {
            Value::Number(number) => Some((labels, *number)),
            Value::Classes(..) => None,
        })
    }

    /// Names, and how many series each has.
    pub fn sizes(&self) -> impl Iterator<Item = (&'static str, usize)> {
        self.families.iter().map(|(name, family)| (*name, family.series.len()))
    }

    /// Everything as text; `constant` labels are on each series.
    #[must_use]
    pub fn text(&self, constant: &[(&'static str, String)]) -> String {
        let mut text = String::new();
        for family in self.families.values().filter(|family| !family.series.is_empty()) {
            family.write(&mut text, constant);
        }
        text
    }
}

impl Family {
    fn write(&self, text: &mut String, constant: &[(&'static str, String)]) {
        let Metric { name, kind, labels: names, help } = self.metric;
        let kind_name = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram(_) => "histogram",
        };
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind_name}");
        for (values, value) in &self.series {
            let mut labels: Vec<(&str, &str)> =
                names.iter().copied().zip(values.iter().map(String::as_str)).collect();
            labels.extend(constant.iter().map(|(name, value)| (*name, value.as_str())));
            labels.sort_unstable();
            let labels = write_labels(&labels);
            match (kind, value) {
                (Kind::Histogram(bounds), Value::Classes(classes, sum)) => {
                    write_classes(text, (name, &labels), bounds, (classes, *sum));
                }
                (_, Value::Number(number)) => {
                    let _ = writeln!(text, "{name}{} {number}", braced(&labels));
                }
                (_, Value::Classes(..)) => {}
            }
        }
    }
}

fn write_classes(
    text: &mut String,
    (name, labels): (&str, &str),
    bounds: &[f64],
    (classes, sum): (&[u64], f64),
) {
    let comma = if labels.is_empty() { "" } else { "," };
    let mut count = 0;
    for (at, class) in classes.iter().enumerate() {
        count += class;
        let bound = bounds.get(at).map_or("+Inf".to_owned(), ToString::to_string);
        let _ = writeln!(text, "{name}_bucket{{{labels}{comma}le=\"{bound}\"}} {count}");
    }
    let labels = braced(labels);
    let _ = writeln!(text, "{name}_sum{labels} {sum}\n{name}_count{labels} {count}");
}

fn braced(labels: &str) -> String {
    if labels.is_empty() { String::new() } else { format!("{{{labels}}}") }
}

fn write_labels(labels: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (name, value) in labels {
        if !text.is_empty() {
            text.push(',');
        }
        text += name;
        text += "=\"";
        for char in value.chars() {
            match char {
                '\\' => text += "\\\\",
                '"' => text += "\\\"",
                '\n' => text += "\\n",
                other => text.push(other),
            }
        }
        text.push('"');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNT: Metric =
        Metric { name: "a_total", kind: Kind::Counter, labels: &["z", "b"], help: "What is counted" };
    const TIME: Metric = Metric {
        name: "b_seconds",
        kind: Kind::Histogram(&[0.005, 1.0]),
        labels: &[],
        help: "How long it takes",
    };

    #[test]
    fn series_are_written_in_order_with_escapes_and_sums_of_classes() {
        let mut registry = Registry::default();
        registry.add(&COUNT, &["x\"y\\\n", "1"], 2.0);
        registry.add(&COUNT, &["x\"y\\\n", "1"], 0.5);
        for value in [-1.0, 0.005, 0.5, 2.0] {
            registry.observe(&TIME, &[], value);
        }
        let expected = r#"# HELP a_total What is counted
# TYPE a_total counter
a_total{b="1",c="d",z="x\"y\\\n"} 2.5
# HELP b_seconds How long it takes
# TYPE b_seconds histogram
b_seconds_bucket{c="d",le="0.005"} 2
b_seconds_bucket{c="d",le="1"} 3
b_seconds_bucket{c="d",le="+Inf"} 4
b_seconds_sum{c="d"} 1.505
b_seconds_count{c="d"} 4
"#;
        assert_eq!(registry.text(&[("c", "d".to_owned())]), expected);
    }

    #[test]
    fn a_name_has_a_limited_number_of_series() {
        let mut registry = Registry::default();
        for at in 0..MAX_SERIES + 10 {
            registry.set(&COUNT, &[&at.to_string(), ""], 1.0);
        }
        registry.add(&COUNT, &["0", ""], 1.0);
        assert_eq!(registry.sizes().collect::<Vec<_>>(), [("a_total", MAX_SERIES)]);
        assert_eq!(registry.numbers(&COUNT).next().map(|(_, number)| number), Some(2.0));
    }
}
