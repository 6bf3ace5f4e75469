//! What the DV commands ask of servers, and what they do when these refuse, are slow, or lie: the real binary against
//! servers in this process.

#![expect(clippy::unwrap_used, reason = "a test fails where something is not as it made it")]

use std::path::{Path, PathBuf};

use coxswain::dv::obol_api::ObolApi;
use serde_json::Value as Json;

/// A file of the vectors; none, and a line that says so, where they are not.
#[expect(clippy::print_stdout, reason = "a test that is skipped says so")]
fn vectors(file: &str) -> Option<Json> {
    let all = std::env::var_os("COXSWAIN_VECTORS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/vectors"), PathBuf::from);
    let path = all.join(file);
    let Ok(text) = std::fs::read(&path) else {
        println!("skipped: {} is not here", path.display());
        return None;
    };
    Some(serde_json::from_slice(&text).unwrap())
}

#[test]
fn addresses_on_the_api_are_those_of_the_vectors() {
    let Some(all) = vectors("charon/p2p-dkg/obolapi_urls.json") else { return };
    let hash = [0x42; 32];
    let lock = format!("0x{}", "42".repeat(32));
    let key = format!("0xab{}", "00".repeat(47));
    let cases = all["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 8);
    for case in cases {
        let text = |name: &str| case[name].as_str().unwrap();
        let api = ObolApi::new(text("base").parse().unwrap());
        let url = match text("call") {
            "publish lock" => api.lock(),
            "publish definition" => api.definition(),
            "submit partial exits" => api.at_root(&format!("/exp/partial_exits/{lock}")),
            "fetch exit share 2" => api.at_root(&format!("/exp/exit/{lock}/2/{key}")),
            "submit partial deposits share 1" => {
                api.at_root(&format!("/deposit_data/partial_deposits/{lock}/1"))
            }
            "fetch deposit" => api.at_root(&format!("/deposit_data/{lock}/{key}")),
            "fetch fee recipients" => api.at_root(&format!("/fee_recipient/{lock}")),
            "launchpad page" => api.launchpad(&hash),
            other => panic!("a call that is not known: {other}"),
        };
        assert_eq!(url.as_str(), text("url"), "{}", text("call"));
    }
}
