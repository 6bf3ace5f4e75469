//! Operators, exact numbers, conditionals.

use super::{check, check_codes};

#[test]
fn precedence_is_that_of_arithmetic() {
    check("1 + 2 * 3 - 4 / 2", "5");
    check("-2 * 3 + 1", "-5");
    check("1 + 2 == 3 && 2 < 3 || false", "true");
}

#[test]
fn text_and_numbers_convert_for_operators() {
    check("\"2\" + 3", "5");
    check("!\"false\"", "true");
    check_codes("\"two\" + 3", &["invalid-operand \"two\""]);
    check_codes("true + 1", &["invalid-operand true"]);
}

#[test]
fn numbers_are_exact_beyond_128_bits() {
    check("32 * 1000000000000000000", "32000000000000000000");
    check(
        "340282366920938463463374607431768211455 * 340282366920938463463374607431768211455",
        "115792089237316195423570985008687907852589419931798687112530834793049593217025",
    );
    check("340282366920938463463374607431768211456 - 340282366920938463463374607431768211455", "1");
}

#[test]
fn decimals_print_as_they_are_written() {
    check("0.5 + 0.25 == 0.75", "true");
    check("0.1", "0.1");
    check("1.50 * 2", "3");
    check("1 / 4", "0.25");
}

#[test]
fn the_remainder_has_the_sign_of_the_dividend() {
    check("7 % 3", "1");
    check("-7 % 3", "-1");
    check("7 % -3", "1");
}

#[test]
fn division_by_zero_is_an_error_at_the_divisor() {
    check_codes("1 / (2 - 2)", &["division-by-zero (2 - 2)"]);
}

#[test]
fn the_remainder_by_zero_is_the_dividend() {
    check("5 % 0", "5");
}

#[test]
fn equality_does_not_convert() {
    check("1 == \"1\"", "false");
    check("true != \"true\"", "true");
    check("1 == 1.0", "true");
}

#[test]
fn equality_looks_at_content_not_at_the_sort_of_collection() {
    check("local.list == [1, 2, 3]", "true");
    check("local.map == { a = 1, b = 2 }", "true");
    check("local.set == [\"a\", \"b\"]", "false");
    check("local.set == toset([\"a\", \"b\"])", "true");
}

#[test]
fn null_equals_null_only() {
    check("null == null", "true");
    check("var.none == null", "true");
    check("1 == null", "false");
    check("null == false", "false");
}

#[test]
fn references_are_equal_by_instance() {
    check("host.a == host.a", "true@1");
    check("host.a == host.b", "false@1,2");
    check("host.a != null", "true@1");
}

#[test]
fn comparison_is_of_numbers() {
    check("2 <= 2", "true");
    check("\"10\" > 9", "true");
    check_codes("\"a\" < \"b\"", &["invalid-operand \"a\"", "invalid-operand \"b\""]);
}

#[test]
fn what_is_not_needed_may_be_wrong() {
    check("false && 1 / 0 == 1", "false");
    check("true || var.name.x", "true");
    check("var.none == null || var.none.port > 1", "true");
}

#[test]
fn what_is_needed_may_not_be_wrong() {
    check_codes("true && 1 / 0 == 1", &["division-by-zero 0"]);
    check_codes("1 / 0 == 1 || true", &["division-by-zero 0"]);
}

#[test]
fn both_operands_tell_their_errors() {
    check_codes("1 / 0 + nothing", &["division-by-zero 0", "unknown-reference nothing"]);
}

#[test]
fn null_is_no_operand() {
    check_codes("1 + null", &["null-value null"]);
    check_codes("!var.none", &["null-value var.none"]);
    check_codes("true && null", &["null-value null"]);
}

#[test]
fn a_conditional_takes_one_branch() {
    check("var.flag ? 1 : 2", "1");
    check("false ? 1 : 2", "2");
    check("\"true\" ? 1 : 2", "1");
}

#[test]
fn the_branch_that_is_not_taken_may_be_wrong() {
    check("true ? 1 : 1 / 0", "1");
    check("var.none != null ? var.none.port : 22", "22");
    check_codes("true ? 1 / 0 : 1", &["division-by-zero 0"]);
}

#[test]
fn branches_convert_to_one_type() {
    check("true ? 1 : \"a\"", "\"1\"");
    check("true ? local.list : [\"a\"]", "list(string)[\"1\", \"2\", \"3\"]");
    check("true ? [1] : [1, 2]", "list(number)[1]");
    check("true ? { a = 1 } : { b = 2 }", "map(number){a = 1}");
    check("false ? 1 : null", "null number");
}

#[test]
fn branches_of_different_types_are_an_error() {
    check_codes("true ? [] : {}", &["inconsistent-types []"]);
    check_codes("true ? 1 : [1]", &["inconsistent-types 1"]);
    check_codes("true ? true : 1", &["inconsistent-types true"]);
}

#[test]
fn an_empty_branch_leaves_the_other_alone() {
    check("true ? [{ port = 1 }, { from = \"a\" }] : []", "[{port = 1}, {from = \"a\"}]");
    check("false ? [{ port = 1 }, { from = \"a\" }] : []", "[]");
    check("true ? { a = 1, b = \"x\" } : {}", "{a = 1, b = \"x\"}");
    check("true ? { rules = [1, \"x\"] } : { rules = [] }", "{rules = [1, \"x\"]}");
}

#[test]
fn references_unify_as_references() {
    check("var.flag ? host.a : host.b", "host.a@1");
    check_codes("true ? host.a : 1", &["inconsistent-types host.a"]);
}

#[test]
fn the_condition_is_a_bool() {
    check_codes("null ? 1 : 2", &["null-value null"]);
    check_codes("\"yes\" ? 1 : 2", &["condition-type \"yes\""]);
    check_codes("1 ? 1 : 2", &["condition-type 1"]);
}
