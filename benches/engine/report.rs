//! Figures as lines of JSON and as tables.

use std::fmt::Write as _;

use super::measure::Cost;

/// One figure.
pub(crate) struct Row {
    pub(crate) program: &'static str,
    pub(crate) shape: &'static str,
    pub(crate) size: usize,
    pub(crate) command: &'static str,
    pub(crate) runs: usize,
    pub(crate) cost: Cost,
}

impl Row {
    pub(crate) fn json(&self) -> String {
        let Row { program, shape, size, command, runs, cost } = self;
        serde_json::json!({
            "program": program, "shape": shape, "size": size, "command": command, "runs": runs,
            "wall_s": cost.wall_s, "cpu_s": cost.cpu_s, "peak_mb": cost.peak_mb,
        })
        .to_string()
    }
}

/// Everything, as Markdown.
pub(crate) fn tables(rows: &[Row]) -> String {
    let mut out =
        String::from("| program | shape | resources | command | wall s | CPU s | peak MB | CPU µs each |\n");
    out += "|---|---|--:|---|--:|--:|--:|--:|\n";
    for r in rows {
        let each =
            if r.size == 0 { String::new() } else { format!("{:.0}", r.cost.cpu_s * 1e6 / r.size as f64) };
        line(
            &mut out,
            format_args!(
                "| {} | {} | {} | {} | {:.3} | {:.3} | {:.0} | {each} |",
                r.program, r.shape, r.size, r.command, r.cost.wall_s, r.cost.cpu_s, r.cost.peak_mb
            ),
        );
    }
    out + &exponents(rows) + &spread(rows) + &ratios(rows)
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a string takes everything");
    out.push('\n');
}

fn find<'r>(rows: &'r [Row], like: &Row, program: &str, size: usize) -> Option<&'r Row> {
    rows.iter().find(|r| {
        r.program == program && r.size == size && r.shape == like.shape && r.command == like.command
    })
}

/// With which power of the size the processor time grows, from each size to the next.
fn exponents(rows: &[Row]) -> String {
    let mut out =
        "\n| shape | command | from | to | growth exponent of CPU |\n|---|---|--:|--:|--:|\n".to_owned();
    let empty = out.len();
    for row in rows.iter().filter(|r| r.size > 0) {
        let larger =
            rows.iter().filter(|r| r.program == row.program && r.size > row.size).map(|r| r.size).min();
        let Some(next) = larger.and_then(|size| find(rows, row, row.program, size)) else { continue };
        let grown = (next.cost.cpu_s / row.cost.cpu_s).ln() / (next.size as f64 / row.size as f64).ln();
        line(
            &mut out,
            format_args!("| {} | {} | {} | {} | {grown:.2} |", row.shape, row.command, row.size, next.size),
        );
    }
    if out.len() == empty { String::new() } else { out }
}

/// The dearest shape over the cheapest, for each command and size.
fn spread(rows: &[Row]) -> String {
    let mut out =
        "\n| resources | command | cheapest shape | dearest shape | factor |\n|--:|---|---|---|--:|\n"
            .to_owned();
    let empty = out.len();
    let mut seen = std::collections::BTreeSet::new();
    for row in rows.iter().filter(|r| r.program == "coxswain" && r.size > 0) {
        if !seen.insert((row.size, row.command)) {
            continue;
        }
        let mut alike: Vec<&Row> = rows
            .iter()
            .filter(|r| r.program == row.program && r.size == row.size && r.command == row.command)
            .collect();
        alike.sort_by(|a, b| a.cost.cpu_s.total_cmp(&b.cost.cpu_s));
        if let [first, .., last] = alike.as_slice() {
            line(
                &mut out,
                format_args!(
                    "| {} | {} | {} | {} | {:.2} |",
                    row.size,
                    row.command,
                    first.shape,
                    last.shape,
                    last.cost.cpu_s / first.cost.cpu_s
                ),
            );
        }
    }
    if out.len() == empty { String::new() } else { out }
}

/// Ours against the peer's, in parts of it.
fn ratios(rows: &[Row]) -> String {
    let mut out =
        "\n| shape | command | CPU: 1/… | wall: 1/… | memory: 1/… |\n|---|---|--:|--:|--:|\n".to_owned();
    let empty = out.len();
    for peer in rows.iter().filter(|r| r.program != "coxswain") {
        let Some(ours) = find(rows, peer, "coxswain", peer.size) else { continue };
        line(
            &mut out,
            format_args!(
                "| {} | {} | {:.1} | {:.1} | {:.1} |",
                peer.shape,
                peer.command,
                peer.cost.cpu_s / ours.cost.cpu_s,
                peer.cost.wall_s / ours.cost.wall_s,
                peer.cost.peak_mb / ours.cost.peak_mb
            ),
        );
    }
    if out.len() == empty { String::new() } else { out }
}
