//! Flags of `create cluster`: the directories of all nodes, made in one place.

use std::path::{Path, PathBuf};

use super::super::render::json;
use coxswain_dv_crypto::bls::SecretKey;
use coxswain_dv_keystore::Cost;
use coxswain_dv_slashing::interchange::{Interchange, MAX_BYTES};
use coxswain_dv_types::causes::in_full;
use coxswain_dv_types::cluster::{self, Creator, Definition, Operator};
use coxswain_dv_types::deposit::Rewards;
use coxswain_dv_types::network::{Network, Networks};

use super::super::error::CliError;
use super::super::progress::Spinner;
use super::super::{Cx, Exit, Format, Run};
use super::deliver::{Delivery, Orders, Packing};
use super::network::TestnetArgs;
use super::servers;
use super::settings::{self, Flags};
use crate::dv::create::{self, Cluster, CreateError, Created};
use crate::dv::disk::DiskError;
use crate::dv::history;
use crate::dv::http;
use crate::dv::keymanager::Keymanager;
use crate::dv::keystores::{self, KeystoresError};

/// What `--zipped` makes.
const ARCHIVE: &str = "cluster.tar.gz";

/// Make the directories of all nodes of a cluster in one place
#[derive(Debug, clap::Parser)]
#[command(
    name = "cluster",
    after_help = "Examples:\n  coxswain dv create cluster --nodes 4 --num-validators 1 --network hoodi --name test \\\n      \
        --fee-recipient-addresses 0x388C818CA8B9251b393131C08a736A67ccB19297 \\\n      \
        --withdrawal-addresses 0x388C818CA8B9251b393131C08a736A67ccB19297 --cluster-dir ./cluster\n\n\
        Makes node0, node1 … below --cluster-dir, all of them or none. Whoever runs it has every key for a while: for keys \
        that nobody ever has whole, use a ceremony (create dkg)."
)]
pub struct CreateCluster {
    /// Take a threshold of half of the nodes or less: two parts of them can then sign different things, and the
    /// validators are slashed
    #[arg(long)]
    pub allow_low_threshold: bool,
    /// Where the directories of the nodes are made
    #[arg(long, value_name = "DIR", default_value = "./")]
    pub cluster_dir: PathBuf,
    /// Withdrawal credentials that compound (0x02)
    #[arg(long)]
    pub compounding: bool,
    /// The consensus protocol that the cluster prefers
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    pub consensus_protocol: String,
    /// A definition, as a file or URL, in place of the flags that describe the cluster
    #[arg(long, value_name = "FILE|URL", default_value = "", hide_default_value = true)]
    pub definition_file: String,
    /// Amounts of deposits in whole ETH
    #[arg(long, value_name = "ETH")]
    pub deposit_amounts: Vec<i64>,
    /// An endpoint of the execution layer, for operators whose signatures a contract checks
    #[arg(long, value_name = "URL", default_value = "", hide_default_value = true)]
    pub execution_client_rpc_endpoint: String,
    /// Who gets the fees: one address for all validators, or one for each
    #[arg(long, value_name = "ADDRESS")]
    pub fee_recipient_addresses: Vec<String>,
    /// Keystores that are written fast and protect nothing; for tests
    #[arg(long)]
    pub insecure_keys: bool,
    /// The keymanager of each node, to which its keys go in place of files
    #[arg(long, value_name = "URL")]
    pub keymanager_addresses: Vec<String>,
    /// The token of each keymanager
    #[arg(long, value_name = "TOKEN")]
    pub keymanager_auth_tokens: Vec<String>,
    /// The name of the cluster
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    pub name: String,
    /// The network
    #[arg(long, value_name = "NAME", default_value = "mainnet")]
    pub network: String,
    /// How many nodes, at least 3
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub nodes: i64,
    /// How many validators
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub num_validators: i64,
    /// Send the lock to the API
    #[arg(long)]
    pub publish: bool,
    /// The API
    #[arg(long, value_name = "URL", default_value = "https://api.obol.tech/v1")]
    pub publish_address: String,
    /// What the keys that are split have signed (an interchange of EIP-3076): each node gets it for its shares
    #[arg(long, value_name = "FILE", default_value = "", hide_default_value = true)]
    pub slashing_protection_file: String,
    /// Share keys that are there already, in place of new ones
    #[arg(long)]
    pub split_existing_keys: bool,
    /// Where their keystores are
    #[arg(long, value_name = "DIR", default_value = "", hide_default_value = true)]
    pub split_keys_dir: String,
    /// The gas limit that builders are asked for
    #[arg(long, value_name = "GAS", default_value_t = 60_000_000)]
    pub target_gas_limit: u64,
    /// A network of one's own.
    #[command(flatten)]
    pub testnet: TestnetArgs,
    /// How many nodes must sign; without it, two thirds of them, rounded up
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub threshold: i64,
    /// Where withdrawals go: one address for all validators, or one for each
    #[arg(long, value_name = "ADDRESS")]
    pub withdrawal_addresses: Vec<String>,
    /// Pack the directories into one archive, cluster.tar.gz
    #[arg(long)]
    pub zipped: bool,
}

impl Run for CreateCluster {
    fn run(self, cx: &Cx) -> Result<Exit, CliError> {
        self.check_flags()?;
        let networks = settings::networks(&self.testnet)?;
        let keymanagers = servers::keymanagers(&self.keymanager_addresses, &self.keymanager_auth_tokens)?;
        let api = if self.publish { Some(servers::api(&self.publish_address)?) } else { None };
        let contracts = servers::contracts(cx, &self.execution_client_rpc_endpoint)?;
        let given = match self.definition_file.as_str() {
            "" => None,
            source => Some(servers::definition(cx, source, &networks, &contracts)?),
        };
        let existing = self.existing(cx, given.as_ref())?;
        let history = self.history(cx)?;
        let definition = match given {
            Some(definition) => definition,
            None => self.definition(&networks, existing.as_ref().map(Vec::len))?,
        };
        let network = of(&definition, &networks)?;
        self.check_definition(&definition, network)?;
        let target = cx.root.join(&self.cluster_dir);
        self.check_places(cx, &target, definition.operators.len(), &keymanagers)?;
        let validators = definition.validators.len();
        let registered_at = match existing {
            Some(_) => u64::try_from(jiff::Timestamp::now().as_second()).unwrap_or(network.genesis_time),
            None => network.genesis_time,
        };
        let secrets = match existing {
            Some(secrets) if secrets.len() != validators => {
                let why = format!(
                    "there are {} keys, and the definition has {validators} validators",
                    secrets.len()
                );
                return Err(CliError::other("splitting the keys", why, "give as many keys as validators"));
            }
            Some(secrets) => secrets,
            None => (0..validators).map(|_| SecretKey::generate(&mut rand::rng())).collect(),
        };
        let mut warnings = settings::warnings(&definition);
        warnings.extend(keymanager_warnings(&keymanagers));
        warnings.extend(self.history_warning(&secrets, history.as_ref()));
        for warning in &warnings {
            cx.terminal.err(&format!("warning: {warning}\n"));
        }
        let cost = if self.insecure_keys { Cost::Insecure } else { Cost::Normal };
        let cluster = Cluster {
            definition,
            network,
            networks: &networks,
            secrets: &secrets,
            registered_at,
            cost,
            history: history.as_ref(),
        };
        let spinner = Spinner::new(cx, "making keystores");
        let created = create::create(&target, cluster, &|_, _| {});
        drop(spinner);
        let created = created.map_err(explained)?;
        let orders = Orders {
            keymanagers: &keymanagers,
            publish: api.as_ref().map(|api| (api, http::TIMEOUT)),
            archive: self.zipped.then(|| Packing { name: ARCHIVE, entries: created.names() }),
            // Nothing of this cluster runs yet.
            claim: None,
        };
        let delivery = Delivery::carry_out(cx, &target, &created.nodes, &created.lock, &orders)?;
        warnings.extend_from_slice(&delivery.warnings);
        cx.terminal.out(&match cx.format {
            Format::Json => as_json(&created, &delivery, &warnings),
            Format::Text => as_text(&created, &delivery),
        });
        delivery.end(cx)
    }
}

impl CreateCluster {
    /// Combinations of flags that mean nothing.
    fn check_flags(&self) -> Result<(), CliError> {
        let wrong = |what: &str, why: &str, next: &str| Err(CliError::other(what, why, next));
        if self.split_existing_keys == self.split_keys_dir.is_empty() {
            return wrong(
                "splitting keys",
                "only one of --split-existing-keys and --split-keys-dir is given",
                "give both, or none to make new keys",
            );
        }
        if !self.split_existing_keys && !self.slashing_protection_file.is_empty() {
            return wrong(
                "reading --slashing-protection-file",
                "new keys have signed nothing",
                "give it with --split-existing-keys only",
            );
        }
        if self.split_existing_keys && self.num_validators != 0 {
            return wrong(
                "splitting keys",
                "--num-validators is given, and the keys that are there say how many validators there are",
                "leave --num-validators away",
            );
        }
        if !self.definition_file.is_empty() {
            return Ok(());
        }
        if self.nodes == 0 {
            return wrong(
                "making the cluster",
                "--nodes is missing or 0",
                "say how many nodes there are, at least 3",
            );
        }
        if self.num_validators == 0 && !self.split_existing_keys {
            return wrong(
                "making the cluster",
                "--num-validators is missing or 0",
                "say how many validators there are, at least 1",
            );
        }
        Ok(())
    }

    /// Whether there is room for what is made, before any of it is: on the disk and at the keymanagers.
    fn check_places(
        &self,
        cx: &Cx,
        target: &Path,
        nodes: usize,
        keymanagers: &[Keymanager],
    ) -> Result<(), CliError> {
        let archive = target.join(ARCHIVE);
        if self.zipped && archive.symlink_metadata().is_ok() {
            return Err(DiskError::Exists { path: archive }.into());
        }
        if keymanagers.is_empty() {
            return Ok(());
        }
        if keymanagers.len() != nodes {
            let why = format!("there are {} for {nodes} nodes", keymanagers.len());
            return Err(CliError::other("reading --keymanager-addresses", why, "give one for each node"));
        }
        servers::reach(cx, keymanagers)
    }

    /// What the keys that are there already have signed.
    fn history(&self, cx: &Cx) -> Result<Option<Interchange>, CliError> {
        if self.slashing_protection_file.is_empty() {
            return Ok(None);
        }
        let path = cx.root.join(&self.slashing_protection_file);
        let what = format!("reading the history {}", path.display());
        let text = settings::read_bounded(&path, &what, MAX_BYTES as u64)?;
        let next = "export it anew from the client that has signed with the keys";
        Interchange::parse(&text).map(Some).map_err(|error| CliError::other(what, in_full(&error), next))
    }

    /// Keys with a past of which nothing is known: the cluster may contradict it.
    fn history_warning(&self, secrets: &[SecretKey], history: Option<&Interchange>) -> Option<String> {
        if !self.split_existing_keys {
            return None;
        }
        let keys: Vec<[u8; 48]> = secrets.iter().map(|secret| secret.public().to_bytes()).collect();
        let which = match history.map(|history| history::lacks(history, &keys)) {
            None => "nothing says what the keys have signed that are split (--slashing-protection-file)"
                .to_owned(),
            Some(lacking) if lacking.is_empty() => return None,
            Some(lacking) => format!(
                "the history has nothing of {} of {} keys, the first of which is that of validator {}",
                lacking.len(),
                keys.len(),
                lacking[0]
            ),
        };
        Some(format!(
            "{which}: stop every client that has the whole keys, and let two epochs pass before the cluster signs"
        ))
    }

    /// The keys that are there already.
    fn existing(&self, cx: &Cx, given: Option<&Definition>) -> Result<Option<Vec<SecretKey>>, CliError> {
        if !self.split_existing_keys {
            return Ok(None);
        }
        // Where validators have addresses of their own, which key is whose must be said.
        let is_ordered = match given {
            Some(definition) => definition.validators.windows(2).any(|pair| {
                !pair[0].fee_recipient.eq_ignore_ascii_case(&pair[1].fee_recipient)
                    || !pair[0].withdrawal.eq_ignore_ascii_case(&pair[1].withdrawal)
            }),
            None => self.fee_recipient_addresses.len() > 1 || self.withdrawal_addresses.len() > 1,
        };
        let dir = cx.root.join(&self.split_keys_dir);
        let spinner = Spinner::new(cx, "opening keystores");
        let keys = if is_ordered { keystores::load_sequence(&dir) } else { keystores::load_below(&dir) };
        drop(spinner);
        Ok(Some(keys?))
    }

    fn definition(&self, networks: &Networks, existing: Option<usize>) -> Result<Definition, CliError> {
        let network = settings::network(networks, &self.testnet, &self.network)?;
        let validators = match existing {
            Some(keys) => keys,
            None => settings::count("num-validators", self.num_validators)?,
        };
        let nodes = settings::count("nodes", self.nodes)?;
        if nodes > cluster::MAX_OPERATORS {
            let why = format!("{nodes} are more than {}", cluster::MAX_OPERATORS);
            return Err(CliError::other("reading --nodes", why, "see --help"));
        }
        let flags = Flags {
            creator: Creator::default(),
            name: &self.name,
            threshold: self.threshold,
            validators,
            fee_recipients: &self.fee_recipient_addresses,
            withdrawals: &self.withdrawal_addresses,
            dkg_algorithm: "default",
            deposit_amounts: &self.deposit_amounts,
            consensus_protocol: &self.consensus_protocol,
            target_gas_limit: self.target_gas_limit,
            rewards: if self.compounding { Rewards::Compounding } else { Rewards::PaidOut },
            low: settings::low_threshold(self.allow_low_threshold),
        };
        settings::new_definition(&flags, vec![Operator::default(); nodes], network)
    }

    fn check_definition(&self, definition: &Definition, network: &Network) -> Result<(), CliError> {
        let doing = "checking the definition";
        let low = settings::low_threshold(self.allow_low_threshold);
        definition.check_settings(network, low).map_err(settings::refused(doing))?;
        if !self.definition_file.is_empty() && definition.name.is_empty() {
            return Err(CliError::other(doing, "it has no name", "give it one and make its hashes anew"));
        }
        if self.insecure_keys && network.has_value() {
            let why = format!("--insecure-keys protects nothing, and {} is a network of value", network.name);
            return Err(CliError::other("making keystores", why, "leave --insecure-keys away"));
        }
        Ok(())
    }
}

fn of<'n>(definition: &Definition, networks: &'n Networks) -> Result<&'n Network, CliError> {
    definition.network(networks).map_err(|problem| {
        CliError::other(
            "finding the network of the definition",
            problem,
            "a network of your own needs the four --testnet flags",
        )
    })
}

/// What is seldom meant of keymanagers.
fn keymanager_warnings(keymanagers: &[Keymanager]) -> Vec<String> {
    let mut warnings = Vec::new();
    for (node, keymanager) in keymanagers.iter().enumerate() {
        if keymanager.is_in_the_clear() {
            let address = http::shown(&keymanager.address);
            warnings
                .push(format!("keys and token of node {node} go to {address} without encryption (no https)"));
        }
        if keymanagers[..node].iter().any(|other| other.address == keymanager.address) {
            warnings
                .push(format!("node {node} has the keymanager of another node: it gets more than one share"));
        }
    }
    warnings
}

fn explained(error: CreateError) -> CliError {
    match error {
        CreateError::Disk(error) => error.into(),
        CreateError::Exists { path } => CliError::other(
            format!("making {}", path.display()),
            "there is something in it already",
            "nothing was made; choose another --cluster-dir, or move what is there away yourself",
        ),
        CreateError::Finished { .. } => CliError::other(
            "making the cluster",
            error,
            "look at what is there: it is a cluster; to make another one choose another --cluster-dir",
        ),
        other => CliError::other("making the cluster", other, "nothing was written"),
    }
}

impl From<KeystoresError> for CliError {
    fn from(error: KeystoresError) -> CliError {
        let why = std::error::Error::source(&error).map(ToString::to_string);
        match why {
            Some(why) => CliError::other(
                format!("opening keystores: {error}"),
                why,
                "mend it and run the command again",
            ),
            None => CliError::other(
                "opening keystores",
                error,
                "give the directory with the keystores and their passwords",
            ),
        }
    }
}

fn as_json(created: &Created, delivery: &Delivery, warnings: &[String]) -> String {
    let definition = &created.lock.definition;
    json::pretty(&serde_json::json!({
        "document": "coxswain.dv_cluster",
        "format": 1,
        "nodes": created.nodes,
        "deposit_files": created.deposits,
        "delivery": delivery.as_json(),
        "lock_hash": format!("0x{}", hex::encode(&*created.lock.lock_hash)),
        "threshold": definition.threshold,
        "validators": created.lock.validators.iter().map(|v| format!("0x{}", hex::encode(&*v.public_key))).collect::<Vec<_>>(),
        "warnings": warnings,
    }))
}

fn as_text(created: &Created, delivery: &Delivery) -> String {
    let definition = &created.lock.definition;
    let (first, last) = (&created.nodes[0], &created.nodes[created.nodes.len() - 1]);
    let places = match &delivery.archive {
        Some(archive) => format!("packed into {}", archive.display()),
        None => format!("{} to {}", first.display(), last.display()),
    };
    let page = match &delivery.page {
        Some(page) => format!("Published  {page}\n"),
        None => String::new(),
    };
    let keys = match (delivery.keymanagers.is_empty(), delivery.is_delivered(), &delivery.archive) {
        (true, _, None) => {
            "These directories together are the whole keys: keep a\n\
             copy offline, and remove them here when every node has its own."
        }
        (true, _, Some(_)) => {
            "The archive has the whole keys in it, and there is no\n\
             other copy: keep it offline, and away from every node."
        }
        (false, true, _) => {
            "The keys of the validators are in the\n\
             keymanagers of the nodes and nowhere else: keep copies of those."
        }
        (false, false, _) => {
            "Some keys of the validators are still in\nthese directories: read what follows."
        }
    };
    format!(
        "Made {} nodes with {} validators, of which any {} nodes can sign: {places}\n\
         Lock hash  0x{}\n{page}\n\
         Give each node its directory, and no two nodes the same one. {keys} To deposit, use {} of any node.\n",
        created.nodes.len(),
        created.lock.validators.len(),
        definition.threshold,
        hex::encode(&*created.lock.lock_hash),
        created.deposits.join(" or ")
    )
}
