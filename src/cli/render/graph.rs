//! The step graph of a plan (the instances, where it has no steps) as DOT, Mermaid and JSON.

use std::collections::BTreeMap;

use serde::Serialize;

use super::layout::{Place, place};
use super::one_line;
use super::plan::sign;
use crate::plan::{Plan, Why};

/// A graph, ready to be written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Graph {
    /// What the nodes are: `steps` or `instances`.
    pub of: &'static str,
    /// The nodes.
    pub nodes: Vec<Node>,
    /// What comes before what.
    pub edges: Vec<Link>,
}

/// A node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Node {
    /// A step's id, or an instance's address.
    pub id: String,
    /// Where.
    pub place: String,
    /// For people.
    pub label: String,
}

/// An edge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Link {
    /// First.
    pub from: String,
    /// Then.
    pub to: String,
    /// Why.
    pub why: &'static str,
}

fn word(why: Why) -> &'static str {
    match why {
        Why::Sequence => "sequence",
        Why::Value => "value",
        Why::DependsOn => "depends_on",
        Why::Placement => "placement",
        Why::Implied => "implied",
        Why::Restart => "restart_on",
        Why::Claim => "claim",
        Why::Rollout => "rollout",
        Why::Removal => "removal",
    }
}

/// The graph of a plan.
pub fn of_plan(plan: &Plan) -> Graph {
    if plan.steps.is_empty() { of_instances(plan) } else { of_steps(plan) }
}

fn of_steps(plan: &Plan) -> Graph {
    let nodes = plan
        .steps
        .iter()
        .map(|step| {
            let instance = plan.instances.get(step.instance);
            let mark = instance.map_or("", |i| sign(i.action));
            Node {
                id: step.id.clone(),
                place: instance.map_or(Place::Nowhere, |i| place(&i.address, i.host.as_ref())).title(),
                label: format!("{mark} {}\n{}", step.id, one_line(&step.step.title)),
            }
        })
        .collect();
    let edges = plan.edges.iter().filter_map(|edge| {
        let (from, to) = (plan.steps.get(edge.from)?, plan.steps.get(edge.to)?);
        Some(Link { from: from.id.clone(), to: to.id.clone(), why: word(edge.why) })
    });
    Graph { of: "steps", nodes, edges: edges.collect() }
}

/// Instances with the hosts they live on.
fn of_instances(plan: &Plan) -> Graph {
    let known: BTreeMap<String, ()> = plan.instances.iter().map(|i| (i.address.to_string(), ())).collect();
    let nodes = plan
        .instances
        .iter()
        .map(|i| Node {
            id: i.address.to_string(),
            place: place(&i.address, i.host.as_ref()).title(),
            label: format!("{}\n{}", i.address, one_line(&i.identity)).trim_end().to_owned(),
        })
        .collect();
    let edges = plan.instances.iter().filter_map(|i| {
        let host = i.host.as_ref()?.to_string();
        known.contains_key(&host).then(|| Link { from: host, to: i.address.to_string(), why: "placement" })
    });
    Graph { of: "instances", nodes, edges: edges.collect() }
}

impl Graph {
    fn by_place(&self) -> BTreeMap<&str, Vec<(usize, &Node)>> {
        let mut places: BTreeMap<&str, Vec<(usize, &Node)>> = BTreeMap::new();
        for (at, node) in self.nodes.iter().enumerate() {
            places.entry(&node.place).or_default().push((at, node));
        }
        places
    }

    /// For Graphviz.
    pub fn dot(&self) -> String {
        let mut out = String::from("digraph coxswain {\n  rankdir=LR;\n  node [shape=box];\n");
        for (n, (place, nodes)) in self.by_place().into_iter().enumerate() {
            out += &format!("  subgraph cluster_{n} {{\n    label={};\n", dot_text(place));
            for (_, node) in nodes {
                out += &format!("    {} [label={}];\n", dot_text(&node.id), dot_text(&node.label));
            }
            out += "  }\n";
        }
        for edge in &self.edges {
            let label = dot_text(edge.why);
            out += &format!("  {} -> {} [label={label}];\n", dot_text(&edge.from), dot_text(&edge.to));
        }
        out + "}\n"
    }

    /// For Mermaid.
    pub fn mermaid(&self) -> String {
        let mut out = String::from("flowchart LR\n");
        for (n, (place, nodes)) in self.by_place().into_iter().enumerate() {
            out += &format!("  subgraph p{n}[\"{}\"]\n", mermaid_text(place));
            for (at, node) in nodes {
                out += &format!("    n{at}[\"{}\"]\n", mermaid_text(&node.label));
            }
            out += "  end\n";
        }
        let at: BTreeMap<&str, usize> =
            self.nodes.iter().enumerate().map(|(at, node)| (node.id.as_str(), at)).collect();
        for edge in &self.edges {
            if let (Some(from), Some(to)) = (at.get(edge.from.as_str()), at.get(edge.to.as_str())) {
                out += &format!("  n{from} -->|{}| n{to}\n", edge.why);
            }
        }
        out
    }

    /// For machines.
    pub fn json(&self) -> String {
        let json = serde_json::json!({
            "document": "coxswain.graph", "format": 1, "of": self.of, "nodes": self.nodes, "edges": self.edges,
        });
        super::json::pretty(&json)
    }
}

fn dot_text(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("\"{text}\"")
}

/// Mermaid has no backslash escapes, only character entities of its own spelling.
fn mermaid_text(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '"' | '#' | '<' | '>' | '&' | '`' | '[' | ']' | '{' | '}' | ';' | '|' | '\\' => {
                out += &format!("#{};", u32::from(c));
            }
            '\n' => out += "<br/>",
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::plan::tests::{add, empty, instance, small};
    use super::*;
    use crate::resource::{Action, StepClass};

    #[test]
    fn steps_as_dot() {
        assert_eq!(
            of_plan(&small()).dot(),
            "digraph coxswain {\n  rankdir=LR;\n  node [shape=box];\n\
             \x20 subgraph cluster_0 {\n    label=\"host.a\";\n    \"file.motd#apply\" [label=\"~ file.motd#apply\\nwrite /etc/motd\"];\n  }\n\
             \x20 subgraph cluster_1 {\n    label=\"this machine\";\n    \"file.hello#apply\" [label=\"+ file.hello#apply\\nwrite hello.txt\"];\n  }\n\
             \x20 \"file.motd#apply\" -> \"file.hello#apply\" [label=\"value\"];\n}\n"
        );
    }

    #[test]
    fn steps_as_mermaid() {
        assert_eq!(
            of_plan(&small()).mermaid(),
            "flowchart LR\n  subgraph p0[\"host.a\"]\n    n0[\"~ file.motd#35;apply<br/>write /etc/motd\"]\n  end\n\
             \x20 subgraph p1[\"this machine\"]\n    n1[\"+ file.hello#35;apply<br/>write hello.txt\"]\n  end\n\
             \x20 n0 -->|value| n1\n"
        );
    }

    #[test]
    fn without_steps_the_instances_are_drawn() {
        let mut plan = empty();
        plan.instances.push(instance("host.a", None, Action::NoOp));
        plan.instances.push(instance("file.x[\"a b\"]", Some("host.a"), Action::NoOp));
        let graph = of_plan(&plan);
        assert_eq!(graph.of, "instances");
        assert_eq!(graph.edges.len(), 1);
        assert!(graph.dot().contains("\"host.a\" -> \"file.x[\\\"a b\\\"]\""), "{}", graph.dot());
        assert!(graph.json().contains("\"document\": \"coxswain.graph\""));
    }

    #[test]
    fn names_cannot_break_the_syntax() {
        let mut plan = empty();
        let mut it = instance("file.x[\"a\\\"];\"]", None, Action::Create);
        it.identity = "x\"]\nend".into();
        add(&mut plan, it, StepClass::InPlace);
        let mermaid = of_plan(&plan).mermaid();
        assert_eq!(mermaid.matches('"').count(), 4, "{mermaid}");
        assert!(of_plan(&plan).dot().contains("\\\\\\\""));
    }
}
