//! Sensitive values, and the instances that values were made from.

use super::{check, check_codes};

#[test]
fn operators_unite_the_marks_of_their_operands() {
    check("var.pin + 1", "4712!");
    check("-var.pin", "-4711!");
    check("var.pin == 4711", "true!");
    check("var.pin > 1 && true", "true!");
    check("host.a.address == host.b.address", "false@1,2");
    check("[var.pin] == [1]", "false!");
}

#[test]
fn a_side_that_decides_alone_marks_alone() {
    check("false && var.pin == 1", "false");
    check("var.pin == 1 && nothing", "false!");
}

#[test]
fn templates_are_as_sensitive_as_what_they_hold() {
    check("\"x${var.secret}\"", "\"xhunter2\"!");
    check("\"x${host.a.address}\"", "\"x10.0.0.1\"@1");
    check("\"%{ if var.pin > 1 }a%{ endif }\"", "\"a\"!");
    check("\"%{ for x in [var.pin] }${x}%{ endfor }\"", "\"4711\"!");
    check("\"%{ for x in var.vault }x%{ endfor }\"", "\"x\"!");
    check("\"x${unknown.string}${var.secret}\"", "?string!");
}

#[test]
fn elements_keep_their_marks_to_themselves() {
    check("[1, var.pin]", "[1, 4711!]");
    check("[1, var.pin][0]", "1");
    check("var.user.name", "\"ann\"");
    check("var.user.password", "\"hunter2\"!");
}

#[test]
fn what_is_taken_out_of_a_sensitive_value_is_sensitive() {
    check("var.vault.key", "\"hunter2\"!");
    check("var.vault[\"key\"]", "\"hunter2\"!");
    check("[for k, v in var.vault : k]", "[\"key\"!]!");
    check("var.vault[*].key", "[\"hunter2\"!]!");
    check("[1, 2][var.pin - 4710]", "2!");
}

#[test]
fn a_key_marks_the_object() {
    check("{ (var.secret) = 1 }", "{hunter2 = 1}!");
    check("{ for x in [var.secret] : x => 1 }", "{hunter2 = 1}!");
}

#[test]
fn a_condition_marks_what_it_decides() {
    check("var.pin > 1 ? 1 : 2", "1!");
    check("true ? 1 : var.pin", "1");
    check("unknown.bool ? 1 : var.pin", "?number!");
    check("[for x in [1, 2] : x if x != var.pin]", "[1, 2]!");
}

#[test]
fn all_elements_decide_how_many_a_set_has() {
    check("length(toset([1, var.pin]))", "2!");
    check("[for x in toset([1, var.pin]) : 0]", "[0, 0]!");
    check("tolist(toset([0, var.pin]))", "list(number)[0, 4711!]!");
    check("flatten([toset([0, var.pin]), [1]])", "[0, 4711!, 1]!");
    check(
        "toset([host.a.address, host.b.address])[*]",
        "list(string)[\"10.0.0.1\"@1,2, \"10.0.0.2\"@1,2]@1,2",
    );
    check("toset([host.a.address])", "set(string)[\"10.0.0.1\"@1]");
}

#[test]
fn a_branch_marks_what_its_type_changes() {
    check("true ? 1 : var.secret", "\"1\"!");
    check("jsonencode(true ? 1 : host.a.address)", "\"\\\"1\\\"\"@1");
    check("true ? [1, \"x\"] : [host.a.address, \"y\"]", "[\"1\"@1, \"x\"]");
    check("true ? { a = 1, b = \"x\" } : { a = var.secret, b = \"y\" }", "{a = \"1\"!, b = \"x\"}");
    check("false ? toset([var.secret]) : []", "set(string)[]!");
    check("true ? \"x\" : var.secret", "\"x\"");
    check("true ? 1 : host.a.nothing", "1");
    check("coalesce(1, var.secret)", "\"1\"!");
    check("coalesce(1, var.pin)", "1");
}

#[test]
fn unknown_results_keep_the_marks_of_all_that_decides() {
    check("[for x in [var.pin] : x if unknown.bool]", "?any/null!");
    check("{ (unknown.string) = var.pin }", "?any/null!");
    check("host.a.id + 1", "?number@1");
    check("max(host.a.address, [for x in [var.pin] : x if unknown.bool]...)", "?any/null!@1");
    check("unknown.bool ? host.a.address : tonumber(\"x\")", "?any/null@1");
    check("unknown.bool ? 1 / 0 : [host.a.address]", "?any/null@1");
}

#[test]
fn functions_unite_marks() {
    check("upper(var.secret)", "\"HUNTER2\"!");
    check("join(\",\", [var.secret, host.a.address])", "\"hunter2,10.0.0.1\"!@1");
    check("concat([1], [var.pin])", "[1, 4711!]");
    check("length(var.vault)", "1!");
    check("jsonencode(var.user)", "\"{\\\"name\\\":\\\"ann\\\",\\\"password\\\":\\\"hunter2\\\"}\"!");
}

#[test]
fn the_mark_can_be_set_and_taken_off() {
    check("sensitive(1)", "1!");
    check("nonsensitive(var.secret)", "\"hunter2\"");
    check("issensitive(var.secret)", "true");
    check("nonsensitive(host.a.address)", "\"10.0.0.1\"@1");
}

#[test]
fn a_sensitive_error_shows_in_what_try_and_can_say() {
    check("can(tonumber(var.secret))", "false!");
    check("try(tonumber(var.secret), 1)", "1!");
    check("can(var.vault.nothing)", "false!");
    check("try(var.user.nothing, 1)", "1");
    check("can([1][var.pin])", "false!");
    check("try([for x in [var.secret] : tonumber(x)], 0)", "0!");
    check("can(tonumber(host.a.address))", "false@1");
}

#[test]
fn an_attribute_of_a_reference_says_where_it_came_from() {
    check("host.a", "host.a@1");
    check("host.a.address", "\"10.0.0.1\"@1");
    check("[for h in [host.a, host.b] : h.address]", "[\"10.0.0.1\"@1, \"10.0.0.2\"@2]");
    check("host.a.id", "?string/null@1");
    check("(var.flag ? host.a : host.b).address", "\"10.0.0.1\"@1");
}

#[test]
fn templates_of_files_keep_the_marks_of_variables() {
    check("templatefile(\"greeting.tmpl\", { name = var.secret, age = 1 })", "\"Hello hunter2,\\nbye\\n\"!");
}

#[test]
fn a_path_is_shown_and_cannot_be_sensitive() {
    check_codes(
        "file(\"mot${substr(var.secret, 0, 0)}d\")",
        &["invalid-argument \"mot${substr(var.secret, 0, 0)}d\""],
    );
}

#[test]
fn errors_hold_nothing_sensitive() {
    let wrong = [
        "tonumber(var.secret)",
        "var.secret + 1",
        "var.vault.nothing",
        "var.vault[\"kye\"]",
        "local.map[var.secret]",
        "local.list[var.pin]",
        "{ for x in [1, 2] : var.secret => x }",
        "[for x in [var.secret] : tonumber(x)]",
        "[for k, v in var.vault : tonumber(v)]",
        "[for x in var.vault : x + 1]",
        "regex(var.secret, \"a\")",
        "regex(\"[\", var.secret)",
        "jsondecode(var.secret)",
        "var.user + 1",
        "[var.user][*].nothing",
        "parseint(var.secret, 10)",
        "var.secret ? 1 : 2",
        "format(\"%d\", var.secret)",
        "formatdate(var.secret, var.secret)",
        "cidrhost(var.secret, 1)",
        "try(tonumber(var.secret))",
        "templatefile(\"greeting.tmpl\", { name = \"a\", age = var.secret })",
        "file(var.secret)",
        "host[var.secret]",
        "host.a[var.secret]",
        "zipmap([var.secret], [])",
        "timeadd(var.secret, \"1h\")",
        "yamldecode(\"${var.secret}: : ${var.secret}\")",
        "base64decode(\"${var.secret}!\")",
        "textdecodebase64(\"aGk=\", var.secret)",
        "csvdecode(\"a,b\\n${var.secret}\")",
        "tobool(var.vault)",
        "element([], var.pin)",
        "range(0, var.pin, 0)",
        "one([var.secret, var.secret])",
    ];
    for text in wrong {
        let Err(stop) = super::result(text) else { panic!("{text} is no error") };
        let told = format!("{stop:?}");
        assert!(!told.contains("hunter") && !told.contains("4711"), "{text}: {told}");
    }
}

#[test]
fn only_sensitive_texts_are_left_out_of_notes() {
    check_codes("var.user + 1", &["invalid-operand var.user"]);
}
