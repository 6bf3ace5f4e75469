//! Meta arguments: what every block of a sort may carry whatever its kind.

/// Arguments of every resource.
pub(super) const RESOURCE: &[&str] = &["for_each", "count", "enabled", "depends_on", "restart_on", "host"];
/// Blocks of every resource.
pub(super) const RESOURCE_BLOCKS: &[&str] = &["lifecycle", "timeouts", "retry", "rollout"];
/// Arguments of `lifecycle`.
pub(super) const LIFECYCLE: &[&str] = &["on_destroy", "ignore_changes", "replace_triggered_by"];
/// Arguments of `timeouts`, in seconds.
pub(super) const TIMEOUTS: &[&str] = &["create", "update", "delete"];
/// Arguments of `retry`.
pub(super) const RETRY: &[&str] = &["attempts", "wait"];
/// Arguments of `rollout`.
pub(super) const ROLLOUT: &[&str] = &["first", "batch", "max_failures"];
/// Arguments of every module call.
pub(super) const CALL: &[&str] = &["source", "for_each", "count", "enabled", "depends_on"];
/// Arguments of `variable`.
pub(super) const VARIABLE: &[&str] = &["type", "default", "nullable", "sensitive", "description"];
/// Arguments of `output`.
pub(super) const OUTPUT: &[&str] = &["value", "sensitive", "description"];
/// Top-level blocks that are not kinds.
pub(super) const TOP: &[&str] =
    &["coxswain", "variable", "locals", "output", "module", "import", "moved", "removed"];
/// Root names of references that are not kinds.
pub(super) const ROOTS: &[&str] = &["var", "local", "module", "each", "count", "path", "builtin"];
