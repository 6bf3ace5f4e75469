//! One instance and small clusters of them, against the recorded scenarios of charon and what must never happen.

#![expect(clippy::disallowed_methods, reason = "tests read vectors")]

#[path = "support/cluster.rs"]
mod cluster;
#[path = "../../dv-types/tests/support/vectors.rs"]
mod support;

use std::collections::BTreeSet;
use std::sync::Arc;

use cluster::{Root, Scenario, root, run};
use coxswain_dv_qbft::machine::{
    Config, Effect, Event, Instance, MAX_BUFFERED, MAX_RESENDS, Mode, RoundReason, Stall, Unjustified,
    Verdict,
};
use coxswain_dv_qbft::message::{Kind, Message, Nodes};
use serde_json::Value as Json;
use support::vectors;

fn rows(name: &str) -> Vec<Json> {
    let Some(folder) = vectors("charon/core/tables") else { return Vec::new() };
    let path = folder.join(name);
    let text = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut file: Json = serde_json::from_slice(&text).expect("JSON");
    match file["rows"].take() {
        Json::Array(rows) if !rows.is_empty() => rows,
        other => panic!("{name} has no rows: {other}"),
    }
}

fn kind(name: &str) -> Kind {
    let all = (1..=5).filter_map(Kind::of);
    all.into_iter().find(|kind| kind.to_string() == name).unwrap_or_else(|| panic!("no kind {name}"))
}

fn number(json: &Json) -> u64 {
    json.as_u64().unwrap_or_default()
}

fn value(json: &Json) -> Option<Root> {
    let number = u8::try_from(number(json)).expect("small");
    (number > 0).then(|| root(number))
}

/// None for a round that no type here can hold: the numbers of the wire are checked before.
fn message(json: &Json) -> Option<Arc<Message<()>>> {
    let justification = json["justification"].as_array().into_iter().flatten().filter_map(message);
    Some(Arc::new(Message {
        kind: kind(json["type"].as_str().expect("a type")),
        source: usize::try_from(number(&json["source"])).expect("small") % 4,
        round: json["round"].as_u64()?,
        value: value(&json["value"]),
        prepared_round: number(&json["pr"]),
        prepared_value: value(&json["pv"]),
        justification: justification.collect(),
        sealed: (),
    }))
}

fn plain(kind: Kind, source: usize, round: u64, number: u8) -> Message<()> {
    let value = (number > 0).then(|| root(number));
    Message {
        kind,
        source,
        round,
        value,
        prepared_round: 0,
        prepared_value: None,
        justification: Vec::new(),
        sealed: (),
    }
}

fn instance(me: usize, offset: u64, mode: Mode) -> Instance<()> {
    let mut instance = Instance::new(Config { nodes: Nodes { count: 4 }, me, offset, mode });
    instance.step(Event::Start);
    instance
}

fn tell(instance: &mut Instance<()>, message: Message<()>) -> Vec<Effect<()>> {
    instance.step(Event::Message(Arc::new(message)))
}

fn sent(effects: &[Effect<()>]) -> Vec<(Kind, u64, Option<Root>)> {
    let draft = |effect: &Effect<()>| match effect {
        Effect::Broadcast(draft) => Some((draft.kind, draft.round, draft.value)),
        _ => None,
    };
    effects.iter().filter_map(draft).collect()
}

fn decisions(effects: &[Effect<()>]) -> Vec<(Root, u64, usize)> {
    let decided = |effect: &Effect<()>| match effect {
        Effect::Decide { value, round, proof } => Some((*value, *round, proof.len())),
        _ => None,
    };
    effects.iter().filter_map(decided).collect()
}

fn decided_by_quorum(round: u64, number: u8) -> Message<()> {
    let commits = (1..4).map(|source| Arc::new(plain(Kind::Commit, source, round, number)));
    Message { justification: commits.collect(), ..plain(Kind::Decided, 3, round, number) }
}

// ------------------------------------------------------------------------------------------- recorded scenarios

#[test]
fn recorded_votes_decide_as_recorded() {
    for row in rows("qbft_decide_scenarios.json") {
        let name = row["name"].as_str().expect("a name");
        let mut one = instance(0, 0, Mode::Active);
        let messages = row["messages"].as_array().expect("messages").iter();
        let effects: Vec<_> =
            messages.filter_map(message).flat_map(|message| one.step(Event::Message(message))).collect();
        let expected: Vec<_> = value(&row["decide_value"])
            .map(|value| {
                let proof = usize::try_from(number(&row["qcommit_len"])).expect("small");
                (value, number(&row["decide_round"]), proof)
            })
            .into_iter()
            .collect();
        assert_eq!(decisions(&effects), expected, "{name}");
    }
}

#[test]
fn recorded_comparisons_end_as_recorded() {
    for row in rows("qbft_compare_scenarios.json") {
        let name = row["name"].as_str().expect("a name");
        let mut one = instance(0, 0, Mode::Active);
        let mut effects = tell(&mut one, plain(Kind::PrePrepare, 1, 1, 2));
        assert!(effects.contains(&Effect::Compare { round: 1, value: root(2) }), "{name}");
        if row["compare"] == "error" {
            effects.extend(one.step(Event::Compared { round: 1, verdict: Verdict::Differs }));
        } else {
            let ticket = effects.iter().rev().find_map(|effect| match effect {
                Effect::SetTimer { ticket, .. } => Some(*ticket),
                _ => None,
            });
            let timeout = one.step(Event::Timer(ticket.expect("a timer")));
            assert_eq!(sent(&timeout), [(Kind::RoundChange, 2, None)], "{name}");
            effects.extend(timeout);
        }
        let last = row["messages"].as_array().and_then(|all| all.last()).expect("messages");
        if last.as_str().expect("text").starts_with("decided") {
            effects.extend(tell(&mut one, decided_by_quorum(1, 2)));
        } else {
            effects.extend((1..4).flat_map(|source| tell(&mut one, plain(Kind::Commit, source, 1, 2))));
        }
        assert_eq!(decisions(&effects), [(root(2), 1, 3)], "{name}");
        assert!(sent(&effects).iter().all(|(kind, ..)| *kind != Kind::Prepare), "{name}");
    }
}

/// Answers to these round changes after a decision in round 1.
fn answers(messages: impl Iterator<Item = (usize, u64)>) -> usize {
    let mut one = instance(0, 0, Mode::Active);
    assert_eq!(decisions(&tell(&mut one, decided_by_quorum(1, 2))), [(root(2), 1, 3)]);
    let effects: Vec<_> = messages
        .flat_map(|(source, round)| tell(&mut one, plain(Kind::RoundChange, source, round, 0)))
        .collect();
    let sent = sent(&effects);
    assert!(sent.iter().all(|sent| *sent == (Kind::Decided, 1, Some(root(2)))), "{sent:?}");
    sent.len()
}

#[test]
fn recorded_single_behaviours() {
    let mut seen = 0;
    for row in rows("qbft_misc.json") {
        seen += 1;
        let expected = row["decided_broadcasts"].as_u64();
        match row["name"].as_str().expect("a name") {
            "decided resend dedup" => {
                let messages = row["messages"].as_array().expect("messages").iter().filter_map(message);
                let count = answers(messages.map(|message| (message.source, message.round)));
                assert_eq!(Some(count as u64), expected);
            }
            "decided resend cap" => {
                assert_eq!(Some(answers((2..=22).map(|round| (2, round))) as u64), expected);
                assert_eq!(Some(u64::from(MAX_RESENDS)), expected);
            }
            "zero value pre_prepare" => {
                let mut one = instance(0, 0, Mode::Active);
                for _ in 0..2 {
                    let effects = tell(&mut one, plain(Kind::PrePrepare, 1, 1, 0));
                    let why = Unjustified::NoValue { round: 1 };
                    assert_eq!(effects, [Effect::Unjustified { source: 1, why }]);
                }
            }
            "pre-prepares of different rounds are not duplicates" => {
                let mut one = instance(0, 0, Mode::Active);
                let changes: Vec<_> =
                    (1..4).map(|source| Arc::new(plain(Kind::RoundChange, source, 2, 0))).collect();
                let second = Message { justification: changes, ..plain(Kind::PrePrepare, 2, 2, 2) };
                let effects = [plain(Kind::PrePrepare, 1, 1, 2), second]
                    .map(|message| tell(&mut one, message))
                    .concat();
                let compared =
                    effects.iter().filter(|effect| matches!(effect, Effect::Compare { .. })).count();
                assert_eq!(Some(compared as u64), row["justified_pre_prepare_rule_fires"].as_u64());
            }
            "pre-prepare justified though RCs disagree on pv" => {
                let message = message(&row["message"]).expect("a message");
                let mut one = instance(0, number(&row["message"]["instance"]), Mode::Active);
                let effects = one.step(Event::Message(message));
                assert!(effects.contains(&Effect::Compare { round: 6, value: root(2) }), "{effects:?}");
            }
            other => panic!("a row that no test knows: {other}"),
        }
    }
    assert!(seen == 5 || seen == 0, "{seen}");
}

fn by_node(json: &Json, nodes: usize) -> Vec<u64> {
    (0..nodes)
        .map(|node| {
            // Nodes are 1 to n there, and the last one is node 0 here: leaders are the same.
            let name = if node == 0 { nodes } else { node }.to_string();
            (json[name.as_str()].as_f64().unwrap_or_default() * 1000.0) as u64
        })
        .collect()
}

fn id(node: usize, nodes: usize) -> u8 {
    u8::try_from(if node == 0 { nodes } else { node }).expect("small")
}

#[test]
fn recorded_clusters_decide_as_recorded() {
    for row in rows("qbft_cluster_scenarios.json") {
        let name = row["name"].as_str().expect("a name");
        let nodes = usize::try_from(number(&row["nodes"])).expect("small");
        let offset = number(&row["instance"]);
        let mut scenario = Scenario::new(nodes, offset);
        scenario.timeout = if row["round_timeout"] == "1s constant" {
            |_| 1000
        } else {
            |round| 1000 << (round - 1).min(20)
        };
        scenario.start = by_node(&row["start_delay_s"], nodes);
        scenario.jitter = number(&row["broadcast_jitter_ms"]);
        scenario.no_commits_to = number(&row["suppress_commits_up_to_round"]);
        scenario.lost = if row.get("drop_probability").is_some() { 30 } else { 0 };
        scenario.babbler = row["node_1_sends_random_messages_every_ms"].as_u64().map(|every| (1, every));
        let delays = by_node(&row["value_delay_s"], nodes);
        let first = Nodes { count: nodes }.leader(offset, 1);
        let all_propose = row.get("value_delay_s").is_some() || row["expect_decide_round"] != 1;
        // Node 0 stands for process 4, which leads no round in the recorded runs: their processes are 1 to 4, and their
        // leaders 0 to 3. Without a value it does not propose either.
        for (node, delay) in delays.into_iter().enumerate().skip(1) {
            let proposes = all_propose || node == first;
            scenario.input[node] = proposes.then(|| (delay, id(node, nodes)));
        }
        for seed in 0..20 {
            scenario.seed = seed;
            let decided = run(&scenario);
            assert_eq!(decided.len(), nodes, "{name}, seed {seed}: {decided:?}");
            let all: BTreeSet<_> = decided.values().collect();
            assert_eq!(all.len(), 1, "{name}, seed {seed}: {decided:?}");
            let (value, round) = decided[&0];
            if let Some(expected) = row["expect_decide_round"].as_u64() {
                assert_eq!(round, expected, "{name}, seed {seed}");
            }
            let expected = row["expect_value"].as_u64().and_then(|value| u8::try_from(value).ok());
            let leader = id(Nodes { count: nodes }.leader(offset, round), nodes);
            // Where values were prepared in a round and decided in a later one, the leader's own is not the one.
            if scenario.lost == 0 && scenario.jitter == 0 && scenario.babbler.is_none() {
                assert_eq!(value, root(expected.unwrap_or(leader)), "{name}, seed {seed}");
            }
        }
    }
}

#[test]
fn recorded_chain_splits_end_as_recorded() {
    for row in rows("qbft_chain_split.json") {
        let name = row["name"].as_str().expect("a name");
        let mut scenario = Scenario::new(4, 0);
        scenario.timeout = |round| 1000 << (round - 1).min(20);
        scenario.max_round = 10;
        let local =
            |node| u8::try_from(number(&row["local_values"][id(node, 4).to_string()])).expect("small");
        let locals: Vec<u8> = (0..4).map(local).collect();
        scenario.input = locals.iter().map(|value| Some((0, *value))).collect();
        scenario.local = Some(locals);
        let decided = run(&scenario);
        match row["decide_round"].as_u64() {
            Some(round) => {
                let value = value(&row["decide_value"]).expect("a value");
                assert_eq!(decided.len(), 4, "{name}");
                assert!(decided.values().all(|one| *one == (value, round)), "{name}: {decided:?}");
            }
            None => assert!(decided.is_empty(), "{name}: {decided:?}"),
        }
    }
}

// --------------------------------------------------------------------------------------------------- single rules

#[test]
fn a_leader_proposes_once_it_has_a_value() {
    let mut early = instance(1, 0, Mode::Active);
    assert_eq!(sent(&early.step(Event::Input(root(7)))), [(Kind::PrePrepare, 1, Some(root(7)))]);
    assert_eq!(early.step(Event::Input(root(8))), []);
    let mut late =
        Instance::<()>::new(Config { nodes: Nodes { count: 4 }, me: 1, offset: 0, mode: Mode::Active });
    assert_eq!(late.step(Event::Input(root(7))), []);
    let started = late.step(Event::Start);
    assert_eq!(sent(&started), [(Kind::PrePrepare, 1, Some(root(7)))]);
    assert!(matches!(started.last(), Some(Effect::SetTimer { round: 1, .. })));
}

/// Round changes of earlier rounds may come late: they let nobody propose again.
#[test]
fn a_leader_proposes_once_in_a_round() {
    // Node 3 leads round 3.
    let mut one = instance(3, 0, Mode::Active);
    one.step(Event::Input(root(9)));
    let change = |source, round| plain(Kind::RoundChange, source, round, 0);
    let effects: Vec<_> = (0..3).flat_map(|source| tell(&mut one, change(source, 3))).collect();
    assert_eq!(sent(&effects), [(Kind::RoundChange, 3, None), (Kind::PrePrepare, 3, Some(root(9)))]);
    for source in 0..3 {
        assert_eq!(sent(&tell(&mut one, change(source, 2))), [], "late, of node {source}");
    }
}

#[test]
fn an_empty_input_ends_an_instance() {
    let mut one = instance(1, 0, Mode::Active);
    assert_eq!(one.step(Event::Input(root(0))), [Effect::StopTimer, Effect::EmptyInput]);
    assert_eq!(tell(&mut one, decided_by_quorum(1, 2)), []);
}

#[test]
fn a_second_proposal_of_a_leader_gets_no_vote() {
    let mut one = instance(0, 0, Mode::Active);
    tell(&mut one, plain(Kind::PrePrepare, 1, 1, 2));
    let vote = one.step(Event::Compared { round: 1, verdict: Verdict::Accepted });
    assert_eq!(sent(&vote), [(Kind::Prepare, 1, Some(root(2)))]);
    assert_eq!(tell(&mut one, plain(Kind::PrePrepare, 1, 1, 3)), []);
    assert_eq!(one.step(Event::Compared { round: 1, verdict: Verdict::Accepted }), []);
}

#[test]
fn a_refused_value_gets_no_vote_and_lets_no_other_in() {
    let mut one = instance(0, 0, Mode::Active);
    tell(&mut one, plain(Kind::PrePrepare, 1, 1, 2));
    assert_eq!(one.step(Event::Compared { round: 1, verdict: Verdict::Invalid }), []);
    let why = Unjustified::PrePrepare { round: 2 };
    assert_eq!(tell(&mut one, plain(Kind::PrePrepare, 2, 2, 3)), [Effect::Unjustified { source: 2, why }]);
}

#[test]
fn a_value_that_differs_lets_the_next_leader_propose_another() {
    let mut one = instance(0, 0, Mode::Active);
    tell(&mut one, plain(Kind::PrePrepare, 1, 1, 2));
    assert_eq!(one.step(Event::Compared { round: 1, verdict: Verdict::Differs }), []);
    let effects = tell(&mut one, plain(Kind::PrePrepare, 2, 2, 3));
    assert!(effects.contains(&Effect::Compare { round: 2, value: root(3) }));
}

#[test]
fn an_answer_for_a_round_that_is_over_is_no_vote() {
    let mut one = instance(0, 0, Mode::Active);
    tell(&mut one, plain(Kind::PrePrepare, 1, 1, 2));
    for source in [1, 2] {
        tell(&mut one, plain(Kind::RoundChange, source, 2, 0));
    }
    assert_eq!(one.round(), 2);
    assert_eq!(one.step(Event::Compared { round: 1, verdict: Verdict::Accepted }), []);
    assert_eq!(one.step(Event::Compared { round: 2, verdict: Verdict::Accepted }), []);
}

#[test]
fn an_observer_decides_and_sends_nothing() {
    for leader in [0, 1] {
        let mut one = instance(leader, 0, Mode::Observer);
        let mut effects = one.step(Event::Input(root(2)));
        if leader != 1 {
            effects.extend(tell(&mut one, plain(Kind::PrePrepare, 1, 1, 2)));
            effects.extend(one.step(Event::Compared { round: 1, verdict: Verdict::Accepted }));
        }
        let others: Vec<_> = (0..4).filter(|node| *node != leader).collect();
        for kind in [Kind::Prepare, Kind::Commit] {
            for source in &others {
                effects.extend(tell(&mut one, plain(kind, *source, 1, 2)));
            }
        }
        effects.extend(tell(&mut one, plain(Kind::RoundChange, 3, 2, 0)));
        assert_eq!(sent(&effects), []);
        assert_eq!(decisions(&effects), [(root(2), 1, 3)]);
    }
}

#[test]
fn one_that_turns_observer_is_silent_from_then_on() {
    let mut one = instance(0, 0, Mode::Active);
    one.observe();
    let ticket = 1;
    let effects = one.step(Event::Timer(ticket));
    assert_eq!(sent(&effects), []);
    assert!(effects.contains(&Effect::Round { round: 2, why: RoundReason::Timeout }));
}

#[test]
fn old_timers_are_ignored() {
    let mut one = instance(0, 0, Mode::Active);
    tell(&mut one, plain(Kind::PrePrepare, 1, 1, 2));
    assert_eq!(one.step(Event::Timer(1)), []);
    assert_eq!(sent(&one.step(Event::Timer(2))), [(Kind::RoundChange, 2, None)]);
}

#[test]
fn a_prepared_value_is_what_the_next_leader_proposes() {
    // Node 2 leads round 2, and has a value of its own.
    let mut one = instance(2, 0, Mode::Active);
    one.step(Event::Input(root(9)));
    tell(&mut one, plain(Kind::PrePrepare, 1, 1, 5));
    let prepares: Vec<_> = [0, 1, 3].map(|source| Arc::new(plain(Kind::Prepare, source, 1, 5))).into();
    let change = |source, prepared: bool| {
        let plain = plain(Kind::RoundChange, source, 2, 0);
        if prepared {
            let (prepared_round, prepared_value) = (1, Some(root(5)));
            Message { prepared_round, prepared_value, justification: prepares.clone(), ..plain }
        } else {
            plain
        }
    };
    let mut effects = tell(&mut one, change(0, false));
    effects.extend(tell(&mut one, change(1, false)));
    assert_eq!(
        sent(&effects),
        [(Kind::RoundChange, 2, None)],
        "joined, and its own counts when it comes back"
    );
    let effects = tell(&mut one, change(3, true));
    assert_eq!(sent(&effects), [(Kind::PrePrepare, 2, Some(root(5)))]);
    let Some(Effect::Broadcast(draft)) = effects.first() else { panic!("{effects:?}") };
    assert_eq!(draft.justification.len(), 6);
    // Everyone else takes it.
    let proposal = Arc::new(draft.clone().seal(2, ()));
    let taken = instance(0, 0, Mode::Active).step(Event::Message(proposal));
    assert!(taken.contains(&Effect::Compare { round: 2, value: root(5) }), "{taken:?}");
}

#[test]
fn a_source_fills_only_its_own_buffer() {
    let mut one = instance(0, 0, Mode::Active);
    tell(&mut one, plain(Kind::Commit, 1, 1, 2));
    tell(&mut one, plain(Kind::Commit, 2, 1, 2));
    for number in 0..3 * u64::try_from(MAX_BUFFERED).expect("small") {
        tell(&mut one, plain(Kind::Commit, 2, 5 + number, 3));
        // Said again, and with another justification, it is the same: nothing of this source is pushed out.
        let junk = vec![Arc::new(plain(Kind::Commit, 2, 5 + number, 4))];
        tell(&mut one, Message { justification: junk, ..plain(Kind::Commit, 1, 1, 2) });
    }
    // Of source 2 the vote is gone, of source 1 it is not.
    assert_eq!(decisions(&tell(&mut one, plain(Kind::Commit, 3, 1, 2))), []);
    assert_eq!(decisions(&tell(&mut one, plain(Kind::Commit, 2, 1, 2))), [(root(2), 1, 3)]);
}

#[test]
fn unjustified_messages_are_named() {
    let mut one = instance(0, 0, Mode::Active);
    let mut check = |message: Message<()>, why| {
        let source = message.source;
        assert_eq!(tell(&mut one, message), [Effect::Unjustified { source, why }]);
    };
    check(plain(Kind::PrePrepare, 2, 1, 1), Unjustified::NotLeader { round: 1, leader: 1 });
    check(plain(Kind::PrePrepare, 2, 2, 1), Unjustified::PrePrepare { round: 2 });
    check(plain(Kind::Decided, 2, 2, 1), Unjustified::Decided { round: 2 });
    let claims = |justification| Message {
        prepared_round: 1,
        prepared_value: Some(root(3)),
        justification,
        ..plain(Kind::RoundChange, 2, 2, 0)
    };
    check(claims(Vec::new()), Unjustified::RoundChange { round: 2 });
    let prepare = |source, number| Arc::new(plain(Kind::Prepare, source, 1, number));
    check(claims(vec![prepare(1, 3), prepare(2, 3), prepare(2, 3)]), Unjustified::RoundChange { round: 2 });
    check(claims(vec![prepare(1, 3), prepare(2, 3), prepare(3, 4)]), Unjustified::RoundChange { round: 2 });
    check(
        claims(vec![prepare(1, 3), prepare(2, 3), prepare(3, 3), Arc::new(plain(Kind::Commit, 0, 1, 3))]),
        Unjustified::RoundChange { round: 2 },
    );
    let effects = tell(&mut one, claims(vec![prepare(1, 3), prepare(2, 3), prepare(3, 3)]));
    assert_eq!(effects, []);
}

#[test]
fn numbers_of_the_wire_that_are_none_are_none() {
    assert_eq!(Kind::of(0), None);
    assert_eq!(Kind::of(6), None);
    assert_eq!(Nodes { count: 4 }.leader(u64::MAX, u64::MAX), 2);
}

/// A proposal of round 3, whose leader is node 3: after rounds in which node by node something was prepared.
fn proposal(changes: &[(usize, u64, u8)], prepares: &[(usize, u64, u8)], number: u8) -> Message<()> {
    let change = |(source, round, number): &(usize, u64, u8)| {
        let plain = plain(Kind::RoundChange, *source, 3, 0);
        let prepared_value = (*number > 0).then(|| root(*number));
        Arc::new(Message { prepared_round: *round, prepared_value, ..plain })
    };
    let prepare =
        |(source, round, number): &(usize, u64, u8)| Arc::new(plain(Kind::Prepare, *source, *round, *number));
    let justification = changes.iter().map(change).chain(prepares.iter().map(prepare)).collect();
    Message { justification, ..plain(Kind::PrePrepare, 3, 3, number) }
}

#[test]
fn later_proposals_need_a_quorum_that_allows_them() {
    let null = [(0, 0, 0), (1, 0, 0), (2, 0, 0)];
    let one = [(0, 1, 5), (1, 0, 0), (2, 0, 0)];
    let both = [(0, 1, 5), (1, 2, 6), (2, 0, 0)];
    let first = [(0, 1, 5), (1, 1, 5), (2, 1, 5)];
    let second = [(0, 2, 6), (1, 2, 6), (2, 2, 6)];
    let check = |message: Message<()>, is_allowed: bool, what: &str| {
        let effects = tell(&mut instance(0, 0, Mode::Active), message);
        let is_taken = effects.iter().any(|effect| matches!(effect, Effect::Compare { .. }));
        assert_eq!(is_taken, is_allowed, "{what}: {effects:?}");
    };
    check(proposal(&null, &[], 9), true, "any value where nothing was prepared");
    check(proposal(&null[..2], &[], 9), false, "too few round changes");
    check(proposal(&[null[0], null[1], null[1]], &[], 9), false, "one node twice");
    check(proposal(&one, &first, 5), true, "what was prepared");
    check(proposal(&one, &first, 9), false, "another value");
    check(proposal(&one, &[], 5), false, "no prepares");
    check(proposal(&one, &first[..2], 5), false, "too few prepares");
    check(proposal(&one, &[first[0], first[1], first[1]], 5), false, "one node's prepare twice");
    check(proposal(&one, &[first[0], first[1], second[2]], 5), false, "prepares of two rounds");
    check(proposal(&one, &second, 6), false, "prepares that no round change means");
    check(proposal(&both, &second, 6), true, "what was prepared last");
    check(proposal(&both, &first, 5), false, "what was prepared before that");
    check(proposal(&null, &first, 9), true, "prepares beside null round changes");
}

#[test]
fn an_answer_shows_the_commits_and_nothing_else() {
    let mut one = instance(0, 0, Mode::Active);
    let mut decided = decided_by_quorum(1, 2);
    let rogue = plain(Kind::Commit, 3, 1, 1);
    decided.justification.insert(0, Arc::new(rogue.clone()));
    assert_eq!(decisions(&tell(&mut one, decided)), [(root(2), 1, 4)]);
    let effects = tell(&mut one, plain(Kind::RoundChange, 3, 2, 0));
    let [Effect::Broadcast(draft)] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!((draft.kind, draft.value, draft.justification.len()), (Kind::Decided, Some(root(2)), 3));
    assert!(draft.justification.iter().all(|commit| **commit != rogue));
}

#[test]
fn a_round_that_ran_out_says_what_it_lacked() {
    let mut one = instance(0, 0, Mode::Active);
    let mut check = |messages: &[(Kind, usize)], round, why: Stall| {
        for (kind, source) in messages {
            tell(&mut one, plain(*kind, *source, round, if *kind == Kind::RoundChange { 0 } else { 2 }));
        }
        assert_eq!((one.round(), one.stall()), (round, why));
    };
    use Kind::{Commit, PrePrepare, Prepare, RoundChange};
    check(&[(Prepare, 2), (Prepare, 3)], 1, Stall::NoProposal { leader: 1 });
    check(&[(PrePrepare, 1)], 1, Stall::Prepares { missing: vec![0, 1] });
    check(&[(Prepare, 1), (Commit, 3)], 1, Stall::Commits { missing: vec![0, 1, 2] });
    let mut split = instance(0, 0, Mode::Active);
    for (kind, source, number) in [
        (PrePrepare, 1, 2),
        (Prepare, 1, 2),
        (Prepare, 2, 2),
        (Prepare, 3, 3),
        (Commit, 1, 2),
        (Commit, 2, 3),
        (Commit, 3, 3),
    ] {
        tell(&mut split, plain(kind, source, 1, number));
    }
    assert_eq!(split.stall(), Stall::Split);
    let effects = one.step(Event::Timer(2));
    let why = Stall::Commits { missing: vec![0, 1, 2] };
    assert_eq!(effects.first(), Some(&Effect::Stalled { round: 1, why }));
    assert_eq!(one.stall(), Stall::RoundChanges { missing: vec![0, 1, 2, 3] });
    for source in 1..4 {
        tell(&mut one, plain(RoundChange, source, 2, 0));
    }
    assert_eq!(one.stall(), Stall::NoProposal { leader: 2 });
}
