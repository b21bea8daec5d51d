//! The commands, one a file.

pub(crate) mod baseline;
pub(crate) mod call;
pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod doctor;
pub(crate) mod example;
pub(crate) mod matrix;
pub(crate) mod probe;
pub(crate) mod route;
pub(crate) mod setup;
