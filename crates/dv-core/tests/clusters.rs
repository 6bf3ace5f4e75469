//! Clusters that there can be.

use coxswain_dv_core::{Cluster, ClusterError, Majority};

/// Two halves, each with enough shares, could sign two things.
#[test]
fn no_two_parts_of_the_nodes_have_enough_shares_each() {
    let cluster =
        |nodes, threshold, majority| Cluster::new(nodes, threshold, 0, Vec::new(), majority).map(|_| ());
    for nodes in 1..=20 {
        for threshold in 1..=nodes {
            let expected = if threshold > nodes - threshold {
                Ok(())
            } else {
                Err(ClusterError::Threshold { threshold, nodes })
            };
            assert_eq!(cluster(nodes, threshold, Majority::Required), expected, "{threshold} of {nodes}");
            assert_eq!(cluster(nodes, threshold, Majority::Waived), Ok(()), "{threshold} of {nodes}");
        }
        let (threshold, refusal) = (nodes + 1, ClusterError::Threshold { threshold: nodes + 1, nodes });
        for majority in [Majority::Required, Majority::Waived] {
            assert_eq!(cluster(nodes, threshold, majority), Err(refusal.clone()));
        }
    }
}
