//! What errors say: the place, the values of the references, what to write instead.

use super::check;

#[test]
fn an_operand_of_the_wrong_type() {
    check(
        "var.port + var.name",
        "invalid-operand: The operator needs a number here\n  \
         A number is required, and this text is not one.\n  \
         at `var.name`\n  note var.name is \"ssh\"\n",
    );
}

#[test]
fn a_null_operand() {
    check(
        "var.none + 1",
        "null-value: The operator needs a number, not null\n  \
         Give another value with `coalesce(x, default)`, or test it first (`x == null ? … : …`).\n  \
         at `var.none` this is null\n  note var.none is null\n",
    );
}

#[test]
fn division_by_zero() {
    check(
        "1 / (var.port - 22)",
        "division-by-zero: Division by zero\n  Test the divisor first (`x == 0 ? … : …`).\n  \
         at `(var.port - 22)` this is 0\n  note var.port is 22\n",
    );
}

#[test]
fn a_misspelt_function() {
    check(
        "uper(var.name)",
        "unknown-function: There is no function `uper`\n  Did you mean `upper`?\n  at `uper`\n  \
         write `upper` for `uper`\n",
    );
}

#[test]
fn a_misspelt_attribute() {
    check(
        "var.user.nmae",
        "unsupported-attribute: There is no attribute `nmae` here\n  Did you mean `name`?\n  at `.nmae`\n  \
         note var.user is {\"name\": \"ann\", \"password\": (sensitive value)}\n  write `name` for `nmae`\n",
    );
}

#[test]
fn an_attribute_of_a_list() {
    check(
        "local.people.name",
        "unsupported-attribute: There is no attribute `name` here\n  \
         This is a tuple: take one element (`[0].name`) or the attribute of all of them (`[*].name`).\n  \
         at `.name`\n  note local.people is [{\"age\": 31, \"name\": \"ann\"}, {\"age\": 27, \"name\": \"bob\"}]\n",
    );
}

#[test]
fn a_missing_key_names_those_that_are_there() {
    check(
        "local.map[\"zzz\"]",
        "missing-key: There is no key \"zzz\"\n  There is a, b.\n  at `[\"zzz\"]`\n  \
         note local.map is {\"a\": 1, \"b\": 2}\n",
    );
}

#[test]
fn a_position_that_is_not_there() {
    check(
        "local.list[var.port]",
        "invalid-index: There is no element at this position\n  It has 3 elements: 0 to 2.\n  \
         at `[var.port]`\n  note local.list is [1, 2, 3]\n  note var.port is 22\n",
    );
}

#[test]
fn branches_of_different_types() {
    check(
        "var.flag ? var.port : local.list",
        "inconsistent-types: The branches are a number and a list\n  \
         Both must be of one type, so that what uses the result can rely on it; convert one of them.\n  \
         at `var.port` number\n  at `local.list` list(number)\n  \
         note var.flag is true\n  note var.port is 22\n  note local.list is [1, 2, 3]\n",
    );
}

#[test]
fn an_element_that_fails_is_named() {
    check(
        "[for i, p in local.people : p.nick]",
        "unsupported-attribute: There is no attribute `nick` here\n  There is age, name.\n  at `.nick`\n  \
         note p is {\"age\": 31, \"name\": \"ann\"}\n  note i is 0\n",
    );
}

#[test]
fn a_duplicate_key() {
    check(
        "{ for p in local.people : \"x\" => p.age }",
        "duplicate-key: Two elements have the key \"x\"\n  \
         Make the keys different, or collect all values of a key with `...` after the value.\n  at `\"x\"`\n  \
         note p is {\"age\": 27, \"name\": \"bob\"}\n",
    );
}

#[test]
fn a_template_cannot_hold_a_list() {
    check(
        "\"ports: ${local.list}\"",
        "invalid-template-value: A template cannot hold a list\n  \
         Use `join(\", \", x)`, `%{ for }` or `jsonencode(x)`.\n  at `local.list`\n  \
         note local.list is [1, 2, 3]\n",
    );
}

#[test]
fn too_many_arguments() {
    check(
        "upper(\"a\", \"b\")",
        "wrong-argument-count: `upper` takes 1 argument, not 2\n  Write `upper(text)`.\n  \
         at `upper(\"a\", \"b\")`\n",
    );
}

#[test]
fn an_argument_that_does_not_fit() {
    check(
        "upper(local.list)",
        "invalid-argument: `text` of `upper` does not fit\n  A string is required, not a list.\n  \
         at `local.list`\n  note local.list is [1, 2, 3]\n",
    );
}

#[test]
fn all_problems_are_told_at_once() {
    check(
        "[nothing, uper(1), 1 / 0]",
        "unknown-reference: There is no `nothing`\n  at `nothing`\n\
         unknown-function: There is no function `uper`\n  Did you mean `upper`?\n  at `uper`\n  \
         write `upper` for `uper`\n\
         division-by-zero: Division by zero\n  Test the divisor first (`x == 0 ? … : …`).\n  at `0` this is 0\n",
    );
}
