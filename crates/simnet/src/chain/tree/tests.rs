//! Whatever blocks come and whichever becomes the head, the chain is the branch of the head.

use proptest::prelude::*;

use super::*;
use crate::chain::tests::settings;

/// A block of no content, which a number names.
fn entry(like: &Entry, name: u8, slot: u64, parent: Root) -> Entry {
    Entry { root: [name; 32], slot, parent, ..like.clone() }
}

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 128,
        failure_persistence: None,
        rng_seed: proptest::test_runner::RngSeed::Fixed(1),
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    /// Each step adds a block some slots after a known one, and may make a known block the head.
    #[test]
    fn the_chain_is_the_branch_of_the_head(
        steps in prop::collection::vec((any::<prop::sample::Index>(), 1_u64..4, any::<prop::sample::Index>()), 1..40),
    ) {
        let genesis = crate::chain::genesis(&settings(1));
        let mut tree = Tree::new(genesis.clone());
        let mut known = vec![genesis.root];
        for (name, (parent, gap, head)) in (1..).zip(steps) {
            let parent = *parent.get(&known);
            let slot = tree.get(&parent).expect("a known block").slot + gap;
            let new = entry(&genesis, name, slot, parent);
            known.push(new.root);
            tree.add(new);
            let head = *head.get(&known);
            tree.set_head(&head);
            prop_assert_eq!(tree.head().root, head);
            let branch: Vec<Root> = tree.branch(&head).map(|entry| entry.root).collect();
            prop_assert_eq!(branch.last(), Some(&genesis.root));
            for root in &known {
                prop_assert_eq!(tree.is_canonical(root), branch.contains(root));
            }
            for (depth, root) in branch.iter().enumerate() {
                let entry = tree.get(root).expect("a known block");
                prop_assert_eq!(tree.ancestor(depth).root, *root);
                prop_assert_eq!(tree.at(entry.slot).map(|found| found.root), Some(*root));
                prop_assert_eq!(tree.at_or_before(entry.slot).root, *root);
            }
        }
    }
}

/// What is old is forgotten, the first block and the head never.
#[test]
fn old_blocks_are_forgotten() {
    let genesis = crate::chain::genesis(&settings(1));
    let mut tree = Tree::new(genesis.clone());
    let (old, new) = (entry(&genesis, 1, 1, genesis.root), entry(&genesis, 2, 2 * KEPT_SLOTS, [1; 32]));
    tree.add(old);
    tree.set_head(&[1; 32]);
    tree.add(new);
    tree.set_head(&[2; 32]);
    tree.forget(2 * KEPT_SLOTS + 1);
    assert!(tree.get(&[1; 32]).is_none());
    assert_eq!(tree.head().root, [2; 32]);
    assert_eq!(tree.at_or_before(5).root, genesis.root);
    assert_eq!(tree.branch(&[2; 32]).count(), 1);
}
