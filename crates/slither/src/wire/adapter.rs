//! What a worker's `HELLO` says of its adapter: the class, and the tools that calls name.

use serde::{Deserialize, Serialize};

/// A worker's adapter.
#[derive(Debug, Clone, Deserialize, PartialEq, Eq)]
pub(crate) struct Adapter {
    /// The class, as the pool names it.
    pub(crate) name: String,
    pub(crate) tools: Vec<Tool>,
    /// The class calls its tools itself, and may have others than these.
    pub(crate) any_tool: bool,
    /// Why there is one slot for it, or what else there is to warn of.
    pub(crate) warning: Option<String>,
}

impl Adapter {
    /// Whether a tool of this name is among those that it lists.
    pub(crate) fn lists(&self, tool: &str) -> bool {
        self.tools.iter().any(|known| known.name == tool)
    }
}

/// A method of an adapter that is called by its name, as Python describes it.
#[derive(Debug, Clone, Deserialize, Serialize, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tool {
    /// What it is called by.
    pub name: String,
    /// For people; the first paragraph of its docstring unless it was given one. May be empty.
    pub description: String,
    /// Parameters and result as Python writes them, without `self`.
    pub signature: String,
    /// Its parameters, in their order.
    pub parameters: Vec<ToolParameter>,
    /// The annotation of what it returns.
    pub returns: Option<String>,
    /// It is a generator: its values can be taken one by one, with [`Adapter::stream`](crate::Adapter::stream).
    pub streaming: bool,
    /// It is `async`.
    pub asynchronous: bool,
    /// The variables that it was said to need; Slither makes nothing of them.
    pub required_variables: Vec<String>,
}

/// A parameter of a [`Tool`].
#[derive(Debug, Clone, Deserialize, Serialize, PartialEq, Eq)]
#[non_exhaustive]
pub struct ToolParameter {
    /// Its name, which is its key where arguments are a map.
    pub name: String,
    /// `positional`, `keyword`, `variadic` or `variadic keyword`.
    pub kind: String,
    /// Its annotation, as source text.
    #[serde(rename = "type")]
    pub annotation: Option<String>,
    /// Whether it has to be given.
    pub required: bool,
    /// Its default, as source text.
    pub default: Option<String>,
}
