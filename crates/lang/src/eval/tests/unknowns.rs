//! What is not known yet, and what is needed first.

use super::{check, check_codes};

#[test]
fn operators_keep_their_type() {
    check("unknown.any + 1", "?number");
    check("unknown.any == 1", "?bool");
    check("!unknown.any", "?bool");
    check("-unknown.any", "?number");
    check("unknown.number < 2", "?bool");
    check("\"a${unknown.any}\"", "?string");
}

#[test]
fn an_unknown_of_the_wrong_type_is_an_error_already() {
    check_codes("unknown.list + 1", &["invalid-operand unknown.list"]);
    check_codes("\"a${unknown.list}\"", &["invalid-template-value unknown.list"]);
    check_codes("unknown.list ? 1 : 2", &["condition-type unknown.list"]);
    check_codes("unknown.number.x", &["unsupported-attribute .x"]);
    check_codes("unknown.object.prot", &["unsupported-attribute .prot"]);
    check_codes("[for x in unknown.string : x]", &["invalid-for unknown.string"]);
    check_codes("unknown.tuple[2]", &["invalid-index [2]"]);
    check_codes("unknown.set[0]", &["invalid-index [0]"]);
}

#[test]
fn steps_know_the_type_of_what_they_reach() {
    check("unknown.any.x", "?any/null");
    check("unknown.list[0]", "?number/null");
    check("unknown.map.x", "?number/null");
    check("unknown.map[unknown.string]", "?number/null");
    check("unknown.object.port", "?number/null");
    check("unknown.tuple[1]", "?string/null");
    check("unknown.tuple[unknown.number]", "?any/null");
    check("local.list[unknown.number]", "?number/null");
    check("local.map[unknown.string]", "?number/null");
    check("[1, \"a\"][unknown.number]", "?any/null");
}

#[test]
fn logic_is_decided_by_one_known_side() {
    check("unknown.bool && false", "false");
    check("unknown.bool || true", "true");
    check("unknown.bool && true", "?bool");
    check("false && unknown.bool", "false");
}

#[test]
fn an_unknown_guard_may_guard_against_the_error() {
    check("unknown.bool && 1 / 0 == 1", "?bool");
    check("unknown.bool ? 1 / 0 : 1", "?any/null");
    check("[for x in [0] : 1 / x if unknown.bool]", "?any/null");
    check("\"%{ if unknown.bool }${1 / 0}%{ endif }\"", "?string");
}

#[test]
fn two_wrong_branches_are_wrong_whatever_the_condition_is() {
    check_codes("unknown.bool ? 1 / 0 : nothing", &["division-by-zero 0", "unknown-reference nothing"]);
}

#[test]
fn an_unknown_condition_keeps_the_type_of_the_branches() {
    check("unknown.bool ? 1 : 2", "?number");
    check("unknown.bool ? 1 : null", "?number/null");
    check("unknown.bool ? 1 : \"a\"", "?string");
    check("unknown.bool ? [1] : []", "?any");
    check("unknown.bool ? host.a : host.b", "?host@1,2");
}

#[test]
fn equality_is_known_where_it_can_be() {
    check("unknown.sure == null", "false");
    check("unknown.string == null", "?bool");
    check("[1, unknown.any] == [2, unknown.any]", "false");
    check("[1, unknown.any] == [1, unknown.any]", "?bool");
    check("[unknown.any] == [1, 2]", "false");
    check("{ a = unknown.any } == { b = 1 }", "false");
    check("toset([unknown.string]) == toset([\"a\"])", "?bool");
}

#[test]
fn for_over_an_unknown_is_unknown() {
    check("[for x in unknown.list : x]", "?any/null");
    check("{ for x in unknown.any : x => x }", "?any/null");
    check("[for x in toset([unknown.string, \"a\"]) : x]", "?any/null");
}

#[test]
fn for_over_known_elements_keeps_what_is_known() {
    check("[for x in [1, unknown.number] : x + 1]", "[2, ?number]");
    check("{ for k, v in { a = unknown.number } : k => v }", "{a = ?number/null}");
}

#[test]
fn an_unknown_decision_of_for_leaves_all_open() {
    check("[for x in [1, 2] : x if unknown.bool]", "?any/null");
    check("{ for x in [unknown.string] : x => 1 }", "?any/null");
    check("{ (unknown.string) = 1, a = 2 }", "?any/null");
}

#[test]
fn splats_of_unknowns() {
    check("unknown.list[*]", "?list(number)/null");
    check("unknown.any[*].x", "?any/null");
    check("[{ a = unknown.number }][*].a", "[?number/null]");
    // It may turn out to be empty.
    check("unknown.list[*].x", "?any/null");
}

#[test]
fn collections_of_unknowns_have_a_length() {
    check("length([unknown.any, 1])", "2");
    check("length(unknown.list)", "?number/null");
    check("keys({ a = unknown.any })", "[\"a\"]");
}

#[test]
fn functions_know_the_type_of_their_result() {
    check("upper(unknown.any)", "?string/null");
    check("join(\",\", [\"a\", unknown.string])", "?string/null");
    check("tolist([1, unknown.number])", "list(number)[1, ?number/null]");
    check("max(unknown.list...)", "?any/null");
    check_codes("upper(unknown.list)", &["invalid-argument unknown.list"]);
}

#[test]
fn try_and_can_wait_for_what_is_unknown() {
    check("try(unknown.string, 1)", "?any/null");
    check("try(unknown.string + [], 1)", "1");
    check("can(unknown.string)", "?bool");
    check("can(unknown.any.x)", "?bool");
}

#[test]
fn what_is_needed_first_is_named() {
    check("later.x + 1", "needs Node(7)");
    check(
        "host.a.arch",
        "needs Instance(Address { module: ModulePath([]), kind: \"host\", name: \"a\", key: None })",
    );
    check("try(later.x, 1)", "needs Node(7)");
    check("can(later.x)", "needs Node(7)");
    check("[for x in later.x : x]", "needs Node(7)");
}

#[test]
fn both_branches_are_needed_before_either_is_taken() {
    check("true ? 1 : later.x", "needs Node(7)");
    check("false && later.x", "false");
}

#[test]
fn errors_come_before_needs() {
    check_codes("[later.x, 1 / 0]", &["division-by-zero 0"]);
    check_codes("later.x + nothing", &["unknown-reference nothing"]);
}

#[test]
fn an_element_of_unknown_type_leaves_the_element_type_open() {
    check("tolist([1, unknown.any])", "?list(any)");
    check("toset([\"a\", unknown.any])", "?set(any)");
    check("tomap({ a = 1, b = unknown.any })", "?map(any)");
    check("setunion([1], [unknown.any])", "?set(any)/null");
    check("tolist([var.pin, unknown.any])", "?list(any)!");
}

#[test]
fn a_branch_of_unknown_type_takes_no_type_from_the_other() {
    check("false ? [] : unknown.any", "?any/null");
    check("true ? 1 : unknown.any", "1");
    check("false ? [1] : [unknown.any]", "[?any/null]");
    check("unknown.bool ? 1 : unknown.any", "?any/null");
}

#[test]
fn a_collection_that_may_be_empty_may_convert() {
    check("transpose(unknown.map)", "?map(list(string))/null");
    check("alltrue(unknown.list)", "?bool/null");
    check_codes("alltrue(unknown.map)", &["invalid-argument unknown.map"]);
}

#[test]
fn a_row_beside_what_will_be_a_set_is_not_known_yet() {
    check("true ? [0, 0] : toset(unknown.any)", "?any/null");
    check("true ? { a = [0, 0] } : { a = toset(unknown.any) }", "?any/null");
    check("true ? [] : toset(unknown.any)", "[]");
    check("true ? [0] : toset(unknown.any)", "[0]");
    check("true ? [0, 0] : [unknown.any]", "[0, 0]");
}

#[test]
fn an_empty_collection_keeps_the_type_of_its_elements() {
    check("sort([])", "list(string)[]");
    check("toset(sort([]))", "set(string)[]");
    check("tolist(toset(sort([])))", "list(string)[]");
    check("setsubtract([1, 2], sort([]))", "set(string)[\"1\", \"2\"]");
    check("toset([])", "set(any)[]");
}

#[test]
fn a_splat_of_an_empty_list_keeps_the_type_of_its_elements() {
    check("sort([])[*]", "list(string)[]");
    check("concat(tolist([0, 0]), sort([])[*])", "list(string)[\"0\", \"0\"]");
    check("slice(tolist([{ a = 1, b = \"x\" }]), 0, 0)[*].a", "list(number)[]");
    check("slice(tolist([[1, 2]]), 0, 0)[*][var.pin - 4711]", "list(number)[]!");
    check("sort([])[*].x", "list(any)[]");
}

#[test]
fn lists_of_anything_leave_the_type_of_their_sum_open() {
    check("concat(range(1), tolist(unknown.any))", "?list(any)/null");
    check("concat(range(1), unknown.list)", "?list(number)/null");
}

#[test]
fn a_set_with_an_unknown_element_has_no_order_yet() {
    check("tolist(toset([unknown.number, 0]))", "?list(number)");
    check("toset([unknown.number, 0])[*]", "?list(number)/null");
    check("toset([var.pin, unknown.number])[*]", "?list(number)/null!");
    check("max(toset([unknown.number, 0])...)", "?any/null");
    check("max(1, toset([unknown.number, var.pin])...)", "?any/null!");
    check("tolist(toset([unknown.number]))", "list(number)[?number/null]");
    check("toset([unknown.number])[*]", "list(number)[?number/null]");
}

#[test]
fn what_is_of_unknown_type_leaves_the_type_beside_it_open() {
    check("coalesce(unknown.any, true)", "?any/null");
    check("coalesce(1, unknown.any)", "?any/null");
    check("coalesce(\"a\", unknown.any)", "\"a\"");
    check("coalesce(null, unknown.number, 1)", "?number/null");
    check("setunion(toset(unknown.any), [1])", "?set(any)/null");
    check("setunion(toset(unknown.list), [1])", "?set(number)/null");
}
