//! Exclusive claims: a thing that one instance may hold at a time, such as a validator key.
//!
//! A move is fenced: stop the old holder → prove it is gone → export its history → import it at the new one →
//! wait → start. The ledger in the state says how far a move came; a later run goes on from there. Two holders in
//! one configuration are an error that shows both places.

use std::collections::BTreeMap;

use coxswain_model::{Attr, Diagnostic, Diagnostics, Value, json};
use coxswain_state::{Claim, ClaimKey, Phase};

use super::assemble::Item;
use super::model::{ClaimMove, DeferredAfter};
use super::{Request, Why, stored};
use crate::graph::Graph;
use crate::resource::kind::{Action, Gate, Step, StepClass, Verb};

/// What must happen to the items because of claims.
#[derive(Default)]
pub(crate) struct Fences {
    /// Steps put before and after those of an item, with the claims they move.
    pub(crate) before: BTreeMap<usize, Vec<(Step, Vec<ClaimMove>)>>,
    pub(crate) after: BTreeMap<usize, Vec<(Step, Vec<ClaimMove>)>>,
    /// Items that must wait, and why.
    pub(crate) held: BTreeMap<usize, (String, DeferredAfter)>,
    /// The last fence of the first item comes before the first fence of the second.
    pub(crate) edges: Vec<(usize, usize, Why)>,
    pub(crate) problems: Diagnostics,
}

/// The claims an item stands for, by its desired arguments.
fn claims_of(item: &Item<'_>) -> Vec<ClaimKey> {
    let Some(args) = &item.args else { return Vec::new() };
    let mut keys = Vec::new();
    for attr in item.schema.attributes {
        let (Some(name), Some(value)) = (attr.claim, args.object.get(attr.name)) else { continue };
        let single = [value.clone()];
        let values: &[Value] = value.as_items().unwrap_or(&single);
        keys.extend(values.iter().filter(|v| v.is_wholly_known()).map(|v| ClaimKey::new(name, &text(v))));
    }
    keys.sort();
    keys.dedup();
    keys
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| json::to_json_clear(value).to_string(), ToOwned::to_owned)
}

/// Finds double holders and the moves that are due.
pub(crate) fn fences(request: &Request<'_>, graph: &Graph<'_>, items: &[Item<'_>]) -> Fences {
    let mut fences = Fences::default();
    let mut holders: BTreeMap<ClaimKey, usize> = BTreeMap::new();
    for (at, item) in items.iter().enumerate() {
        for key in claims_of(item) {
            if let Some(first) = holders.insert(key.clone(), at) {
                fences.problems.push(two_holders(graph, &key, &items[first], item));
            }
        }
    }
    let mut moves = Moves::new();
    for (key, to) in &holders {
        let Some(claim) = request.state.claims.get(key) else { continue };
        let item = &items[*to];
        if claim.holder == item.uid && claim.phase == Phase::Held {
            continue;
        }
        let last = last_user(items, key, claim, item);
        if let Some(at) = not_decided(items, last.at, *to) {
            let why = format!("{key} moves from or to {}, which is left to a later round", items[at].address);
            let other = if at == *to { last.at.unwrap_or(*to) } else { *to };
            fences.held.insert(other, (why, DeferredAfter::NextRound));
            continue;
        }
        match checked(key, claim, &last, last.at.map(|f| &items[f]), item) {
            Ok(()) => {
                let step =
                    ClaimMove { key: key.to_string(), from: claim.holder.clone(), to: item.uid.clone() };
                let from = last.at.filter(|f| f != to);
                let group = match from {
                    None if step.from == step.to => rank(last.phase).min(rank(Phase::ProvedGone)),
                    None | Some(_) => u8::MAX,
                };
                moves.entry((from, *to, group)).or_default().push((step, last.phase));
            }
            Err(Hold::Wait(reason, after)) => {
                fences.held.insert(*to, (reason, after));
            }
            Err(Hold::Wrong(problem)) => fences.problems.push(match item.id {
                Some(id) => problem.at(graph.span(id), "this resource"),
                None => *problem,
            }),
        }
    }
    for ((from, to, _), claims) in moves {
        fences.fence(from, to, claims);
    }
    fences
}

/// The claims to move from one item, or from nobody who is left, to another.
/// Those that come back to their own holder are told apart by how far they had gone.
type Moves = BTreeMap<(Option<usize>, usize, u8), Vec<(ClaimMove, Phase)>>;

/// Who may be using a thing now, and how far taking it away from there has come.
struct LastUser {
    at: Option<usize>,
    /// Its uid.
    uid: String,
    phase: Phase,
}

/// The holder of the ledger; once the next one was given the history, that one: it may have started. What its record
/// still lists it may use again, with its next restart: that it is gone is proved anew.
fn last_user(items: &[Item<'_>], key: &ClaimKey, claim: &Claim, to: &Item<'_>) -> LastUser {
    let taker = claim.to.as_ref().filter(|t| claim.phase == Phase::Importing && **t != to.uid);
    let (uid, phase) = match taker {
        Some(taker) => (taker, Phase::Held),
        None => (&claim.holder, claim.phase),
    };
    let at = items.iter().position(|i| i.uid == *uid);
    let lists = at.is_some_and(|at| items[at].uid != to.uid && recorded_claims(&items[at]).contains(key));
    let phase = if lists && rank(phase) > rank(Phase::Stopping) { Phase::Stopping } else { phase };
    LastUser { at, uid: uid.clone(), phase }
}

/// The claims an item's record lists.
fn recorded_claims(item: &Item<'_>) -> Vec<ClaimKey> {
    item.record.map_or_else(Vec::new, |record| stored::claims(item.schema, record))
}

/// One of the two that is not planned in this round; what cannot be read is judged by [`checked`].
fn not_decided(items: &[Item<'_>], from: Option<usize>, to: usize) -> Option<usize> {
    let is_open = |at: &usize| items[*at].decision.is_none() && !items[*at].unreadable;
    [Some(to), from.filter(|f| *f != to)].into_iter().flatten().find(is_open)
}

/// Whether the old holder keeps the claim although the configuration gives it away.
fn keeps(key: &ClaimKey, old: &Item<'_>) -> bool {
    let ignores = |attr: &Attr| {
        attr.claim.is_some()
            && old.args.iter().any(|a| a.ignore_changes.iter().any(|n| n.as_ref() == attr.name))
    };
    let forgets = old.decision.as_ref().is_some_and(|d| d.action == Action::Forget);
    recorded_claims(old).contains(key) && (forgets || old.schema.attributes.iter().any(ignores))
}

enum Hold {
    Wait(String, DeferredAfter),
    Wrong(Box<Diagnostic>),
}

/// Whether a move may be planned at all.
fn checked(
    key: &ClaimKey,
    claim: &Claim,
    last: &LastUser,
    from: Option<&Item<'_>>,
    to: &Item<'_>,
) -> Result<(), Hold> {
    let proved = matches!(last.phase, Phase::ProvedGone | Phase::Exported | Phase::Importing);
    match from {
        Some(old) if old.uid != to.uid && keeps(key, old) => Err(Hold::Wrong(Box::new(
            Diagnostic::error("claim-kept", format!("`{}` claims {key}, which `{}` keeps", to.address, old.address))
                .detail("The old holder's lifecycle leaves it as it is (`ignore_changes`, or `on_destroy = \"retain\"`), so it would go on using it. Change that first.")
                .of(&to.address),
        ))),
        Some(old) if old.unreadable && !proved => Err(Hold::Wait(
            format!(
                "{key} is still held by {}, which cannot be read: that it does not sign any more is not proved. Bring its host back first",
                old.address
            ),
            DeferredAfter::Unreadable,
        )),
        None if !proved && last.uid != to.uid => Err(Hold::Wrong(Box::new(
            Diagnostic::error("claim-not-proved", format!("`{}` claims {key}, whose last holder was never proved gone", to.address))
                .detail(format!(
                    "The ledger says that {} holds it, and that is in neither state nor configuration. A second holder could sign twice, so none is planned.",
                    if last.uid == claim.holder { &claim.holder } else { &last.uid }
                ))
                .of(&to.address),
        ))),
        Some(_) | None => Ok(()),
    }
}

fn two_holders(graph: &Graph<'_>, key: &ClaimKey, first: &Item<'_>, second: &Item<'_>) -> Diagnostic {
    let problem = Diagnostic::error("two-holders", format!("{key} is claimed by `{}` and by `{}`", first.address, second.address))
        .detail("It may be in one place at a time only. Take it out of one of them; moving the line from one to the other is a planned, fenced move.")
        .of(&second.address);
    [(second, "and here"), (first, "claimed here")].iter().fold(problem, |p, (item, what)| match item.id {
        Some(id) => p.at(graph.span(id), *what),
        None => p,
    })
}

impl Fences {
    fn fence(&mut self, from: Option<usize>, to: usize, claims: Vec<(ClaimMove, Phase)>) {
        let keys: Vec<ClaimMove> = claims.iter().map(|(m, _)| m.clone()).collect();
        // The least advanced claim decides; the steps are idempotent, so one that is further loses nothing.
        let phase = claims.iter().map(|(_, p)| rank(*p)).min().unwrap_or(0);
        // Claims of one instance may come from several others, and go to several: each has steps of its own.
        let taken = |rows: &BTreeMap<usize, Vec<(Step, Vec<ClaimMove>)>>, at: usize, verb| {
            rows.get(&at).map_or(0, |row| row.iter().filter(|(s, _)| s.verb == verb).count())
        };
        let leaving = from.map_or(0, |from| {
            taken(&self.before, from, Verb::ClaimStop).max(taken(&self.before, from, Verb::ClaimProve))
        });
        let coming = taken(&self.after, to, Verb::ClaimStart);
        // A holder that was only about to leave starts again; nobody else had it in between.
        let stays = from.is_none() && keys.iter().all(|k| k.from == k.to) && phase < rank(Phase::ProvedGone);
        let step = |name: &str, verb, title: String| {
            let is_old = matches!(verb, Verb::ClaimStop | Verb::ClaimProve | Verb::ClaimExport);
            let name = match if is_old { leaving } else { coming } {
                0 => name.to_owned(),
                n => format!("{name}-{}", n + 1),
            };
            let mut step = Step::new(&name, verb, title).class(StepClass::Danger);
            if !stays && !matches!(verb, Verb::ClaimStop | Verb::ClaimProve) {
                step.gates = keys.iter().map(|k| Gate::ClaimProved(k.key.clone())).collect();
            }
            (step, keys.clone())
        };
        let what = keys.iter().map(|k| k.key.clone()).collect::<Vec<_>>().join(", ");
        let old: Vec<(u8, (Step, Vec<ClaimMove>))> = vec![
            (1, step("claim-stop", Verb::ClaimStop, format!("stop using {what}"))),
            (2, step("claim-prove", Verb::ClaimProve, format!("prove that {what} is not used any more"))),
            (3, step("claim-export", Verb::ClaimExport, format!("export the history of {what}"))),
        ];
        if let Some(from) = from {
            let due: Vec<_> = old.into_iter().filter(|(rank, _)| *rank > phase).map(|(_, s)| s).collect();
            // The old holder's own change takes the claim out of it: before that, nobody else starts.
            self.edges.push((from, to, Why::Claim));
            self.before.entry(from).or_default().extend(due);
        }
        let arrival = [
            step("claim-import", Verb::ClaimImport, format!("import the history of {what}")),
            step("claim-wait", Verb::ClaimWait, format!("wait the safety distance for {what}")),
        ];
        self.before.entry(to).or_default().extend(arrival.into_iter().filter(|_| !stays));
        self.after.entry(to).or_default().push(step(
            "claim-start",
            Verb::ClaimStart,
            format!("start using {what}"),
        ));
    }
}

fn rank(phase: Phase) -> u8 {
    match phase {
        Phase::Held => 0,
        Phase::Stopping => 1,
        Phase::ProvedGone => 2,
        Phase::Exported | Phase::Importing => 3,
    }
}
