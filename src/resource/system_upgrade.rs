//! `system_upgrade`: a host's packages are upgraded, and it is rebooted where it has to be.
//!
//! What is wanted is not "run an upgrade" but "nothing is pending, as of lists that are not too old". A plan does not
//! write, so it cannot refresh lists: where they are too old its step says that it refreshes them and upgrades what is
//! pending then, within what the configuration allows. Otherwise it upgrades exactly what the plan named, or nothing.

use coxswain_model::schema::{AttrType, Existing, Placement, Stage};
use coxswain_model::{Attr, Class, Diagnostic, Diagnostics, Object, Schema, Value, json};
use serde_json::json;

use super::act::{Act, Content};
use super::apt;
use super::host_kind::HostKind;
use super::kind::{Action, Answers, Change, Facts, KindError, Observation, PlanCx, Step, StepClass, Verb};
use super::probe::{Probe, read_program};
use super::program::{Program, program};
use super::reading::{
    Fields, differs, flag, given, listed, not_understood, said_fields, taken_over, text, verb, whole,
};

/// The kind.
pub struct SystemUpgrade;

const REBOOT: Program = program!("system-reboot", "reboot");
/// Packages that a step's title names; the plan's attributes have them all.
const NAMED: usize = 8;
/// Packages whose upgrade makes a reboot necessary: what Ubuntu's hooks and Debian's kernels do.
const REBOOTS: [&str; 7] =
    ["linux-image-", "linux-base", "libc6", "systemd", "dbus", "intel-microcode", "amd64-microcode"];
const DAY: i128 = 86_400;

static SCHEMA: Schema = Schema {
    kind: "system_upgrade",
    version: 1,
    summary: "A host's packages are up to date.",
    doc: "Upgrades what apt would upgrade, keeping configuration files that were changed; packages on hold stay. A \
          host counts as up to date where nothing is pending and its package lists are not older than `max_age`. The \
          plan names the packages and the date of the lists, and exactly these are upgraded, or none; where lists \
          are too old, apply refreshes them first and upgrades what is pending then. Removals are refused unless \
          `allow_removals` is true. With `reboot = \"when_required\"` the host reboots after the upgrade of a kernel \
          or another package that asks for it, alone among the hosts of its `group`; a need that nobody could \
          foresee is met by the next apply. Services are not restarted by needrestart. Nothing of this can be given \
          back: destroy leaves the packages as they are.",
    example: r#"system_upgrade "nfs" {
  host   = host.nfs
  mode   = "full"
  reboot = "when_required"
  group  = "storage"
}
"#,
    attributes: &[
        Attr::new(
            "mode",
            AttrType::OneOf(&["safe", "full"]),
            Class::Setting,
            "`safe` never removes a package; `full` may, where `allow_removals` says so.",
        )
        .default("\"safe\"")
        .asked(),
        Attr::new(
            "security_only",
            AttrType::Bool,
            Class::Setting,
            "Whether only packages with a fix of security are upgraded.",
        )
        .default("false")
        .asked(),
        Attr::new(
            "autoremove",
            AttrType::Bool,
            Class::Setting,
            "Whether packages that nothing needs any more are removed.",
        )
        .default("false")
        .asked(),
        Attr::new(
            "allow_removals",
            AttrType::Bool,
            Class::Setting,
            "Whether an upgrade may remove other packages.",
        )
        .default("false"),
        Attr::new(
            "max_age",
            AttrType::Num,
            Class::Setting,
            "Seconds after which package lists are too old to say that nothing is pending.",
        )
        .default("604800")
        .asked(),
        Attr::new(
            "reboot",
            AttrType::OneOf(&["never", "when_required"]),
            Class::Setting,
            "Whether the host is rebooted where that is needed.",
        )
        .default("\"never\"")
        .asked(),
        Attr::new(
            "group",
            AttrType::Str,
            Class::Setting,
            "No two hosts of a group are upgraded or rebooted at the same time.",
        ),
        Attr::new(
            "up_to_date",
            AttrType::Bool,
            Class::Owned,
            "Whether nothing is pending as of recent lists.",
        )
        .default("true"),
        Attr::new(
            "rebooted",
            AttrType::Bool,
            Class::Owned,
            "Whether it runs what is installed; true where `reboot` is `never`.",
        )
        .default("true"),
        Attr::new(
            "pending",
            AttrType::List(&AttrType::Str),
            Class::Fact,
            "What would be upgraded, as `Inst NAME VERSION`, and removed, as `Remv NAME`.",
        )
        .volatile(),
        Attr::new(
            "unneeded",
            AttrType::List(&AttrType::Str),
            Class::Fact,
            "Packages that nothing needs any more.",
        )
        .volatile(),
        Attr::new(
            "kept_back",
            AttrType::List(&AttrType::Str),
            Class::Fact,
            "Packages that are not upgraded.",
        )
        .volatile(),
        Attr::new(
            "lists_date",
            AttrType::Num,
            Class::Fact,
            "When package lists were fetched last, in seconds since 1970; 0 for never.",
        )
        .volatile(),
        Attr::new("lists_age", AttrType::Num, Class::Fact, "The lists' age in seconds; null for never.")
            .volatile(),
        Attr::new("reboot_because", AttrType::List(&AttrType::Str), Class::Fact, "Why a reboot is needed.")
            .volatile(),
    ],
    placement: Placement::HostOrController,
    stage: Stage::Base,
    existing: Existing::Adopt,
    restarts: false,
    comes_with_others: true,
    one_per_host: true,
    mutex: Some("apt"),
    documented: true,
};

fn way(args: &Object) -> &'static str {
    // Fixes of security may need what is new.
    let is_full = text(args, "mode") == Some("full") || flag(args, "security_only") == Some(true);
    if is_full { "dist-upgrade" } else { "upgrade" }
}

fn probe(asked: &Object) -> Probe {
    let unneeded = if flag(asked, "autoremove") == Some(true) { "yes" } else { "no" };
    Probe::says(read_program!("system_upgrade"), [way(asked), unneeded])
}

/// One line of a simulation as the plan shows it, and whether it is a fix of security.
fn work(line: &str) -> Result<(String, Security), String> {
    let strange = || not_understood(line);
    let (verb, rest) = line.split_once(' ').ok_or_else(strange)?;
    let (name, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    if name.is_empty() {
        return Err(strange());
    }
    match verb {
        "Remv" | "Purg" => Ok((format!("Remv {name}"), Security::No)),
        "Inst" => {
            let (_, new) = rest.split_once('(').ok_or_else(strange)?;
            let (version, origins) = new.split_once(' ').ok_or_else(strange)?;
            let origins = origins.split_once(" [").ok_or_else(strange)?.0;
            let is_fix = origins.split(", ").any(|origin| origin.ends_with("-security"));
            Ok((format!("Inst {name} {version}"), if is_fix { Security::Yes } else { Security::No }))
        }
        _ => Err(strange()),
    }
}

/// Whether an upgrade is a fix of security.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Security {
    Yes,
    No,
}

fn present(asked: &Object, fields: &Fields<'_>) -> Result<Object, String> {
    let number = |key| fields.must(key)?.parse::<i64>().map_err(|_| not_understood(key));
    let (now, lists) = (number("now")?, number("lists")?);
    let broken: Vec<&str> = fields.all("broken").collect();
    if !broken.is_empty() {
        return Err(format!("{} is half-installed: run `dpkg --configure -a` on the host", listed(&broken)));
    }
    let only_fixes = flag(asked, "security_only") == Some(true);
    let lines = fields.all("line").map(work).collect::<Result<Vec<_>, _>>()?;
    let wanted = lines.into_iter().filter(|(_, fix)| !only_fixes || *fix == Security::Yes);
    let pending: Vec<String> = wanted.map(|(line, _)| line).collect();
    let unneeded: Vec<&str> = fields.all("unneeded").collect();
    let age = (lists > 0).then(|| i128::from(now) - i128::from(lists));
    let max = whole(asked, "max_age").unwrap_or(7 * DAY);
    let is_recent = age.is_some_and(|age| age <= max);
    let needs: Vec<&str> = fields.all("needs").map(str::trim).collect();
    let may_reboot = text(asked, "reboot") == Some("when_required");
    let found = json::from_json(&json!({
        "up_to_date": is_recent && pending.is_empty() && unneeded.is_empty(),
        "rebooted": needs.is_empty() || !may_reboot,
        "pending": pending,
        "unneeded": unneeded,
        "kept_back": fields.all("kept").collect::<Vec<_>>(),
        "lists_date": lists,
        "lists_age": age.map(|a| a.max(0) as i64),
        "reboot_because": needs,
    }));
    Ok(found.as_fields().cloned().unwrap_or_default())
}

/// The texts of a fact, in order.
fn texts<'a>(change: &'a Change, name: &str) -> Vec<&'a str> {
    let items =
        change.observed.as_ref().and_then(|o| o.get(name)).and_then(Value::as_items).unwrap_or_default();
    items.iter().filter_map(Value::as_str).collect()
}

/// Whether the lists are too old for the plan to name what is upgraded.
fn is_stale(change: &Change) -> bool {
    let none = Object::new();
    let wanted = change.desired.as_ref().unwrap_or(&none);
    let max = whole(wanted, "max_age").unwrap_or(7 * DAY);
    change.observed.as_ref().and_then(|o| whole(o, "lists_age")).is_none_or(|age| age > max)
}

/// How old the lists are, for people; a plan has no clock to name the day by.
fn age(change: &Change) -> String {
    match change.observed.as_ref().and_then(|o| whole(o, "lists_age")) {
        None => "that were never fetched".into(),
        Some(age) if age < 2 * 3600 => format!("of {} minutes ago", age / 60),
        Some(age) if age < 2 * DAY => format!("of {} hours ago", age / 3600),
        Some(age) => format!("of {} days ago", age / DAY),
    }
}

fn named(names: &[&str]) -> String {
    match names.len().saturating_sub(NAMED) {
        0 => listed(names),
        more => format!("{} and {more} more", names[..NAMED].join(", ")),
    }
}

fn title(change: &Change) -> String {
    let pending = texts(change, "pending");
    let of = |verb: &str| -> Vec<&str> {
        pending.iter().filter_map(|p| p.strip_prefix(verb)?.split(' ').next()).collect()
    };
    let mut parts = Vec::new();
    if is_stale(change) {
        parts.push(format!("refresh package lists {} and upgrade what is pending then", age(change)));
    } else if !of("Inst ").is_empty() {
        parts.push(format!("upgrade {}, by package lists {}", named(&of("Inst ")), age(change)));
    }
    let gone: Vec<&str> = of("Remv ").into_iter().chain(texts(change, "unneeded")).collect();
    if !gone.is_empty() {
        parts.push(format!("remove {}", named(&gone)));
    }
    parts.join("; ")
}

/// Why the host is rebooted after this change; none where it is not.
fn reboot(change: &Change) -> Option<String> {
    let wanted = change.desired.as_ref()?;
    if text(wanted, "reboot") != Some("when_required") {
        return None;
    }
    let needs = texts(change, "reboot_because");
    if !needs.is_empty() {
        return Some(format!("reboot, which {} needs", listed(&needs)));
    }
    let pending =
        texts(change, "pending").into_iter().filter_map(|p| p.strip_prefix("Inst ")?.split(' ').next());
    let asks: Vec<&str> = pending.filter(|p| REBOOTS.iter().any(|r| p.starts_with(r))).collect();
    (!asks.is_empty()).then(|| format!("reboot, which {} will need", named(&asks)))
}

impl HostKind for SystemUpgrade {
    fn schema(&self) -> &'static Schema {
        &SCHEMA
    }

    fn check(&self, args: &Object) -> Diagnostics {
        let mut problems = Vec::new();
        if given(args, "max_age").and_then(Value::as_num).is_some_and(|n| !n.is_int() || n.is_negative()) {
            let problem = Diagnostic::error("bad-duration", "`max_age` is no whole number of seconds");
            problems.push(problem.detail("The lists' age is counted in seconds; a week is 604800."));
        }
        if flag(args, "allow_removals") == Some(true) && text(args, "mode") == Some("safe") {
            let problem =
                Diagnostic::error("bad-upgrade", "`allow_removals` means nothing with the mode `safe`");
            problems.push(
                problem.detail("A safe upgrade removes nothing. Set `mode = \"full\"`, or leave it out."),
            );
        }
        if flag(args, "up_to_date") == Some(false) || flag(args, "rebooted") == Some(false) {
            problems.push(Diagnostic::error("bad-upgrade", "`up_to_date` and `rebooted` can only be true"));
        }
        problems
    }

    fn observe(&self, asked: &Object, _facts: &Facts, answers: &Answers) -> Observation {
        said_fields(answers, probe(asked), |fields| present(asked, fields).map(Some))
    }

    fn plan(&self, _cx: &PlanCx<'_>, change: &Change) -> Result<Vec<Step>, Diagnostics> {
        match change.action {
            Action::NoOp | Action::Read | Action::Forget => return Ok(Vec::new()),
            Action::Delete => {
                let title = "leave the packages as they are: an upgrade cannot be given back";
                return Ok(vec![Step::new("leave", Verb::Delete, title)]);
            }
            _ if change.differing.is_empty() => return Ok(taken_over(change, "the packages as they are")),
            Action::Create | Action::Adopt | Action::Update | Action::Replace => {}
        }
        let none = Object::new();
        let wanted = change.desired.as_ref().unwrap_or(&none);
        let gone: Vec<&str> =
            texts(change, "pending").into_iter().filter_map(|p| p.strip_prefix("Remv ")).collect();
        // What refreshed lists would remove, apply itself refuses.
        let is_certain = differs(change, "up_to_date") && !is_stale(change);
        if is_certain && !gone.is_empty() && flag(wanted, "allow_removals") != Some(true) {
            let problem =
                Diagnostic::error("upgrade-removes", format!("the upgrade would remove {}", named(&gone)));
            return Err(vec![problem.detail(
                "Set `allow_removals = true` where that is wanted, or hold the package \
                back that makes it necessary.",
            )]);
        }
        let mut steps = Vec::new();
        if differs(change, "up_to_date") {
            // Programs in use are replaced, and packages restart their own services.
            steps.push(Step::new("upgrade", verb(change), title(change)).class(StepClass::Restart));
        }
        if let Some(why) = reboot(change) {
            steps.push(Step::new("reboot", Verb::Update, why).class(StepClass::Reboot));
        }
        if let Some(group) = text(wanted, "group") {
            for step in &mut steps {
                step.holds.push(format!("upgrade of {group}"));
            }
        }
        Ok(steps)
    }

    fn acts(&self, change: &Change, step: &Step) -> Result<Vec<Act>, KindError> {
        match step.name.as_str() {
            "reboot" => return Ok(vec![REBOOT.act(<[String; 0]>::default())]),
            "upgrade" => {}
            _ => return Ok(Vec::new()),
        }
        let none = Object::new();
        let wanted = change.desired.as_ref().unwrap_or(&none);
        let when = |name, yes: &'static str, no| if flag(wanted, name) == Some(true) { yes } else { no };
        let words = [
            way(wanted),
            when("security_only", "security", "all"),
            when("autoremove", "autoremove", "keep"),
            when("allow_removals", "removals", "none"),
            if is_stale(change) { "refresh" } else { "as-planned" },
        ];
        let seen: String = texts(change, "pending").iter().map(|line| format!("{line}\n")).collect();
        let mut act =
            apt::script(include_str!("run/system_upgrade.sh"), "system upgrade", words.map(str::to_owned));
        if let Act::Run { input, .. } = &mut act {
            *input = Some(Content::new(seen.into_bytes()));
        }
        Ok(vec![act])
    }
}

#[cfg(test)]
mod tests;
