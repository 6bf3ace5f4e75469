//! Tests of the syntax: each case is a text and the tree or the problems it gives.

mod forms;
mod sexpr;
