//! Why duties fail, in words: logs have them beside the codes that metrics have.

/// Codes, and what they say, in the order of a duty's steps.
const REASONS: &[(&str, &str)] = &[
    ("fetch_bn_error", "no beacon node gave what was to be signed"),
    ("missing_aggregator_attestation", "the cluster has no attestation of the slot to aggregate"),
    ("zero_aggregator_prepares", "no node signed who aggregates"),
    ("no_aggregator_selections", "no node but this one signed who aggregates"),
    ("insufficient_aggregator_selections", "too few nodes signed who aggregates"),
    ("proposer_zero_randaos", "no node signed the RANDAO of the block"),
    ("proposer_no_external_randaos", "no node but this one signed the RANDAO of the block"),
    ("proposer_insufficient_randaos", "too few nodes signed the RANDAO of the block"),
    ("sync_contribution_no_sync_msg", "too few nodes voted in the sync committee to contribute to it"),
    ("sync_contribution_zero_prepares", "no node signed who contributes to the sync committee"),
    (
        "sync_contribution_no_external_prepares",
        "no node but this one signed who contributes to the sync committee",
    ),
    ("sync_contribution_few_prepares", "too few nodes signed who contributes to the sync committee"),
    ("no_consensus", "the cluster did not agree"),
    ("bug_duty_db_error", "what the cluster agreed on was not kept"),
    ("no_local_vc_signature", "the validator client of this node did not sign"),
    ("bug_par_sig_db_internal", "what this node signed did not go to the others"),
    ("bug_par_sig_db_external", "what other nodes signed was not kept"),
    ("no_peer_signatures", "no node but this one signed"),
    ("insufficient_peer_signatures", "too few nodes signed"),
    ("par_sig_db_inconsistent_sync", "nodes voted for different heads in the sync committee"),
    ("bug_par_sig_db_inconsistent", "nodes signed different things"),
    ("bug_sig_agg", "what nodes signed could not be put together"),
    ("bug_aggregation_error", "the signature of the group was not kept"),
    ("broadcast_bn_error", "no beacon node took what was signed"),
    ("not_included_onchain", "the chain does not have what was submitted"),
];

/// What a code says; itself where it is not known.
pub(super) fn text(code: &'static str) -> &'static str {
    REASONS.iter().find(|(known, _)| *known == code).map_or(code, |(_, text)| text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of the tracker's sources: its own reasons are all texts with these beginnings or ends.
    #[test]
    fn every_reason_of_the_tracker_has_words() {
        let sources = include_str!("../../../dv-core/src/tracker.rs");
        let sources = sources.split("#[cfg(test)]").next().unwrap_or_default();
        let of_steps =
            ["duty_db", "validator_api", "parsig_db_", "parsig_ex", "sig_agg", "aggsig_db", "chain_"];
        let is_code = |text: &&str| {
            text.contains('_')
                && text.chars().all(|char| char.is_ascii_lowercase() || char == '_')
                && !of_steps.iter().any(|step| text.starts_with(step))
        };
        let codes: Vec<&str> = sources.split('"').skip(1).step_by(2).filter(is_code).collect();
        assert!(codes.len() > 20, "{codes:?}");
        for code in codes {
            assert_ne!(text(code), code, "{code} has no words");
        }
    }

    #[test]
    fn what_is_not_known_is_itself() {
        assert_eq!(text("not_seen_before"), "not_seen_before");
        assert_eq!(text("no_consensus"), "the cluster did not agree");
    }
}
