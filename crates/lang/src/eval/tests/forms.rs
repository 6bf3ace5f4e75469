//! Collections, `for`, splat, index, templates, calls.

use super::{check, check_codes};

#[test]
fn constructors_keep_the_types_of_their_elements() {
    check("[1, \"a\", [true], null]", "[1, \"a\", [true], null]");
    check("{ a = 1, \"b c\" = 2, (var.name) = 3 }", "{a = 1, b c = 2, ssh = 3}");
}

#[test]
fn a_bare_name_is_a_key_and_no_reference() {
    check("{ var = 1 }", "{var = 1}");
}

#[test]
fn keys_of_objects_are_text() {
    check("{ 1 = \"a\", (true) = \"b\" }", "{1 = \"a\", true = \"b\"}");
    check_codes("{ (null) = 1 }", &["invalid-key (null)"]);
    check_codes("{ ([]) = 1 }", &["invalid-key ([])"]);
}

#[test]
fn the_last_of_equal_keys_wins() {
    check("{ a = 1, (\"a\") = 2 }", "{a = 2}");
}

#[test]
fn for_makes_a_tuple() {
    check("[for x in [1, 2, 3] : x * 2]", "[2, 4, 6]");
    check("[for i, x in [\"a\", \"b\"] : \"${i}${x}\"]", "[\"0a\", \"1b\"]");
    check("[for k, v in { b = 1, a = 2 } : \"${k}${v}\"]", "[\"a2\", \"b1\"]");
}

#[test]
fn for_over_a_set_has_the_element_as_key() {
    check("{ for k, v in local.set : k => v }", "{a = \"a\", b = \"b\"}");
}

#[test]
fn for_leaves_out_what_the_condition_refuses() {
    check("[for x in [1, 2, 3] : x if x > 1]", "[2, 3]");
    check("[for x in [0, 2] : 4 / x if x != 0]", "[2]");
}

#[test]
fn for_makes_an_object() {
    check("{ for x in local.people : x.name => x.age }", "{ann = 31, bob = 27}");
    check_codes("{ for x in [1, 1] : x => x }", &["duplicate-key x"]);
}

#[test]
fn for_groups_with_an_ellipsis() {
    check(
        "{ for x in [\"ab\", \"ac\", \"b\"] : substr(x, 0, 1) => x... }",
        "{a = [\"ab\", \"ac\"], b = [\"b\"]}",
    );
}

#[test]
fn the_inner_variable_hides_the_outer_one() {
    check("[for x in [1, 2] : [for x in [x * 10] : x]]", "[[10], [20]]");
    check("[for var in [1] : var]", "[1]");
}

#[test]
fn for_walks_over_collections_only() {
    check_codes("[for x in \"abc\" : x]", &["invalid-for \"abc\""]);
    check_codes("[for x in null : x]", &["null-value null"]);
}

#[test]
fn for_walks_over_the_attributes_of_a_reference() {
    check("{ for k, v in host.a : k => v }", "{address = \"10.0.0.1\"@1}@1");
}

#[test]
fn splat_takes_the_attribute_of_each() {
    check("local.people[*].name", "[\"ann\", \"bob\"]");
    check("local.people.*.age", "[31, 27]");
    check("local.list[*]", "list(number)[1, 2, 3]");
}

#[test]
fn a_full_splat_indexes_each_and_an_old_one_the_whole() {
    check("[[1, 2], [3, 4]][*][0]", "[1, 3]");
    check("[{ a = [1] }, { a = [2] }].*.a[0]", "[1]");
}

#[test]
fn splat_of_one_value_is_a_tuple_of_it() {
    check("var.user[*].name", "[\"ann\"]");
    check("null[*].x", "[]");
    check("host.a[*].address", "[\"10.0.0.1\"@1]@1");
}

#[test]
fn nested_splats() {
    check("[{ a = [{ b = 1 }, { b = 2 }] }, { a = [] }][*].a[*].b", "[[1, 2], []]");
}

#[test]
fn index_takes_one_element() {
    check("local.list[0]", "1");
    check("local.list[\"1\"]", "2");
    check("local.map[\"b\"]", "2");
    check("local.map.b", "2");
    check("{ a = 1 }[\"a\"]", "1");
    check("[1, \"x\"].1", "\"x\"");
    check("host[\"a\"][\"address\"]", "\"10.0.0.1\"@1");
}

#[test]
fn an_index_must_fit() {
    check_codes("local.list[3]", &["invalid-index [3]"]);
    check_codes("local.list[-1]", &["invalid-index [-1]"]);
    check_codes("local.list[0.5]", &["invalid-index [0.5]"]);
    check_codes("local.list[\"x\"]", &["invalid-index [\"x\"]"]);
    check_codes("local.list[null]", &["invalid-index [null]"]);
    check_codes("local.map[\"c\"]", &["missing-key [\"c\"]"]);
    check_codes("local.set[0]", &["invalid-index [0]"]);
    check_codes("var.name[0]", &["invalid-index [0]"]);
    check_codes("var.none[0]", &["null-value var.none"]);
}

#[test]
fn an_attribute_must_be_there() {
    check_codes("local.map.c", &["missing-key .c"]);
    check_codes("var.user.nmae", &["unsupported-attribute .nmae"]);
    check_codes("var.name.length", &["unsupported-attribute .length"]);
    check_codes("var.none.x", &["null-value var.none"]);
}

#[test]
fn templates_convert_what_they_hold() {
    check("\"a${1}b${true}\"", "\"a1btrue\"");
    check("\"port ${var.port}\"", "\"port 22\"");
    check("\"$${x} %%{y}\"", "\"${x} %{y}\"");
}

#[test]
fn a_template_of_one_interpolation_is_its_value() {
    check("\"${var.port}\"", "22");
    check("\"${[1]}\"", "[1]");
    check("\"${null}\"", "null");
}

#[test]
fn templates_hold_no_collections_and_no_null() {
    check_codes("\"a${[1]}\"", &["invalid-template-value [1]"]);
    check_codes("\"a${null}\"", &["invalid-template-value null"]);
    check_codes("\"a${host.a}\"", &["invalid-template-value host.a"]);
    check_codes("\"${1 / 0}${nothing}\"", &["division-by-zero 0", "unknown-reference nothing"]);
}

#[test]
fn directives_choose_and_repeat() {
    check("\"%{ if var.flag }yes%{ else }no%{ endif }\"", "\"yes\"");
    check("\"%{ if !var.flag }yes%{ endif }\"", "\"\"");
    check("\"%{ for i, x in [\"a\", \"b\"] }${i}${x};%{ endfor }\"", "\"0a;1b;\"");
    check("\"%{ for x in local.list ~} ${x} %{~ endfor }\"", "\"123\"");
}

#[test]
fn the_part_that_is_left_out_may_be_wrong() {
    check("\"%{ if false }${1 / 0}%{ endif }\"", "\"\"");
    check("\"%{ for x in [] }${1 / 0}%{ endfor }\"", "\"\"");
}

#[test]
fn heredocs_keep_their_lines() {
    check("<<EOT\n  a ${var.port}\n b\nEOT\n", "\"  a 22\\n b\\n\"");
    check("<<-EOT\n    a\n      b ${var.name}\n    EOT\n", "\"a\\n  b ssh\\n\"");
    check("<<EOT\n%{ for x in [1, 2] ~}\n- ${x}\n%{ endfor ~}\nEOT\n", "\"- 1\\n- 2\\n\"");
}

#[test]
fn calls_convert_and_spread_their_arguments() {
    check("upper(1)", "\"1\"");
    check("max([1, 3, 2]...)", "3");
    check("max(5, local.list...)", "5");
    check(
        "max(local.set...)",
        "invalid-argument: `numbers` of `max` does not fit\n  A number is required, and this text is not one.\n  at `local.set`\n  note local.set is [\"a\", \"b\"]\ninvalid-argument: `numbers` of `max` does not fit\n  A number is required, and this text is not one.\n  at `local.set`\n  note local.set is [\"a\", \"b\"]\n",
    );
}

#[test]
fn functions_hand_references_on_or_look_into_them() {
    check("[host.a, host.b][1]", "host.b@2");
    check("values({ x = host.a })", "[host.a@1]");
    check("keys(host.a)", "[\"address\"]@1");
    check("merge(host.a, { port = 1 })", "{address = \"10.0.0.1\"@1, port = 1}@1");
}

#[test]
fn try_takes_the_first_that_has_a_value() {
    check("try(var.user.port, 22)", "22");
    check("try(var.none.a.b, var.name)", "\"ssh\"");
    check("try(null, 1)", "null");
    check_codes(
        "try(1 / 0, nothing)",
        &["invalid-argument try(1 / 0, nothing)", "division-by-zero 0", "unknown-reference nothing"],
    );
}

#[test]
fn can_says_whether_there_is_a_value() {
    check("can(1 / 0)", "false");
    check("can(tonumber(\"x\"))", "false");
    check("can(local.list[0])", "true");
}
