//! `coxswain state list|show|mv|rm|history`: what coxswain knows it has done.

use coxswain_model::Address;
use serde_json::json;

use super::args::StateArgs;
use super::error::CliError;
use super::render::json::pretty;
use super::render::state::{self as render, InstanceView, StateView};
use super::{Cx, Exit, Format, Run};
use crate::session::{self, Options};

/// Look at the state, rename and drop what is in it
#[derive(Debug, clap::Parser)]
#[command(
    name = "state",
    after_help = "Examples:\n  coxswain state list\n  coxswain state show 'file.motd[\"a\"]'\n  \
        coxswain state mv file.old file.new\n  coxswain state rm file.gone\n  coxswain state history"
)]
pub(super) struct State {
    #[command(flatten)]
    state: StateArgs,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// List the instances
    #[command(after_help = "Examples:\n  coxswain state list\n  coxswain state list file.motd")]
    List {
        /// Only these resources or instances
        #[arg(value_name = "ADDRESS")]
        only: Vec<Address>,
    },
    /// Show one instance, or all instances of a resource
    #[command(after_help = "Examples:\n  coxswain state show file.motd")]
    Show {
        /// Which
        address: Address,
    },
    /// Rename an instance; the world stays as it is
    #[command(after_help = "Examples:\n  coxswain state mv file.old file.new\n\n\
        A `moved` block in the configuration does the same for everybody who uses it.")]
    Mv {
        /// Its address
        from: Address,
        /// Its new address
        to: Address,
    },
    /// Drop an instance; the object stays in the world, nobody looks after it any more
    #[command(after_help = "Examples:\n  coxswain state rm file.gone\n\n\
        Claims it holds (validator keys) stay in the ledger.")]
    Rm {
        /// Which
        address: Address,
    },
    /// List earlier states
    #[command(after_help = "Examples:\n  coxswain state history")]
    History,
}

impl Run for State {
    fn run(self, cx: &Cx) -> Result<Exit, CliError> {
        let options = self.state.options(cx);
        let text = match &self.what {
            What::List { only } => list(cx, &options, only)?,
            What::Show { address } => show(cx, &options, address)?,
            What::Mv { from, to } => {
                session::state_move(&options, from, to)?;
                done(cx, &format!("{from} is now {to}"))
            }
            What::Rm { address } => {
                session::state_remove(&options, address)?;
                done(cx, &format!("{address} is dropped; its object stays as it is"))
            }
            What::History => history(cx, &options)?,
        };
        cx.terminal.out(&text);
        Ok(Exit::Done)
    }
}

fn done(cx: &Cx, text: &str) -> String {
    match cx.format {
        Format::Json => super::render::json::message_line(text),
        Format::Text => format!("{text}.\n"),
    }
}

fn chosen<'a>(view: &'a StateView, only: &[Address]) -> Vec<&'a InstanceView> {
    let wanted = |i: &&InstanceView| only.is_empty() || only.iter().any(|a| a.covers(&i.address));
    view.instances.iter().filter(wanted).collect()
}

fn list(cx: &Cx, options: &Options, only: &[Address]) -> Result<String, CliError> {
    let view = StateView::of(&session::read_state(options)?);
    let instances = chosen(&view, only);
    Ok(match cx.format {
        Format::Json => {
            pretty(&json!({ "document": "coxswain.state_list", "format": 1, "instances": instances }))
        }
        Format::Text => render::list(&instances),
    })
}

fn show(cx: &Cx, options: &Options, address: &Address) -> Result<String, CliError> {
    let view = StateView::of(&session::read_state(options)?);
    let instances = chosen(&view, std::slice::from_ref(address));
    if instances.is_empty() {
        return Err(CliError::other(
            format!("showing {address}"),
            "the state has no such instance",
            "see: coxswain state list",
        ));
    }
    Ok(match cx.format {
        Format::Json => {
            pretty(&json!({ "document": "coxswain.state_show", "format": 1, "instances": instances }))
        }
        Format::Text => instances.iter().map(|i| render::instance(i, cx.terminal.out_colour)).collect(),
    })
}

fn history(cx: &Cx, options: &Options) -> Result<String, CliError> {
    let entries = session::state_history(options)?;
    Ok(match cx.format {
        Format::Json => {
            let rows: Vec<_> = entries
                .iter()
                .map(|e| json!({ "serial": e.serial, "at": e.at.to_string(), "instances": e.instances }))
                .collect();
            pretty(&json!({ "document": "coxswain.state_history", "format": 1, "entries": rows }))
        }
        Format::Text => entries
            .iter()
            .map(|e| {
                let n = super::render::plural(e.instances, "instance");
                format!("{:>6}  {}  {n}\n", e.serial, e.at)
            })
            .collect(),
    })
}
