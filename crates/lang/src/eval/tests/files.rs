//! Reads of the controller.

use super::{check, check_codes};

#[test]
fn files_are_read_through_the_scope() {
    check("file(\"motd\")", "\"hello\\n\"");
    check("filebase64(\"logo\")", "\"//4=\"");
    check("fileexists(\"motd\")", "true");
    check("fileset(\"keys\", \"*.json\")", "set(string)[\"a.json\", \"b.json\"]");
    check("length(filesha256(\"motd\"))", "64");
}

#[test]
fn a_file_that_is_not_there_yet_is_needed() {
    check("file(\"later\")", "needs File(\"later\")");
    check("try(file(\"later\"), 1)", "needs File(\"later\")");
}

#[test]
fn an_unknown_path_reads_nothing() {
    check("file(unknown.string)", "?string/null");
    check("fileexists(unknown.string)", "?bool/null");
}

#[test]
fn bytes_are_no_text() {
    check_codes("file(\"logo\")", &["invalid-argument \"logo\""]);
    check_codes("file(null)", &["invalid-argument null"]);
}

#[test]
fn template_files_see_their_variables_only() {
    check(
        "templatefile(\"greeting.tmpl\", { name = \"ann\", age = 31 })",
        "\"Hello ann,\\nold friend\\nbye\\n\"",
    );
    check(
        "templatefile(\"greeting.tmpl\", { nmae = \"ann\", age = 31 })",
        "unknown-reference: The template has no variable `name`\n  Did you mean `nmae`?\n  \
         at `templatefile(\"greeting.tmpl\", { nmae = \"ann\", age = 31 })` greeting.tmpl:1:9\n",
    );
}

#[test]
fn template_files_do_not_nest() {
    check_codes("templatefile(\"nested.tmpl\", {})", &["invalid-argument templatefile(\"nested.tmpl\", {})"]);
}

#[test]
fn errors_of_a_template_file_name_its_line() {
    let text = "templatefile(\"broken.tmpl\", {})";
    let Err(super::Stop::Error(all)) = super::result(text) else { panic!("the template is broken") };
    assert!(all[0].labels[0].text.starts_with("broken.tmpl:2:"), "{all:#?}");
}
