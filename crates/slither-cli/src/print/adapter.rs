//! An adapter: its tools, and what they return.

use std::io;

use serde::Serialize;
use slither::{Tool, Value};

use super::{Paint, Printed, data, json, table};

/// The tools of an adapter.
pub(crate) fn tools(class: &str, tools: &[Tool], as_json: bool) -> Printed {
    #[derive(Serialize)]
    struct Listed<'a> {
        adapter: &'a str,
        tools: &'a [Tool],
    }
    if as_json {
        return json(&Listed { adapter: class, tools });
    }
    if tools.is_empty() {
        return data(&format!("{class} lists no tools: mark its methods with @tool\n"));
    }
    data(&listed(&Paint::of(&io::stdout()), tools))
}

/// A table of them; its cells come escaped, and its head may be painted.
fn listed(paint: &Paint, tools: &[Tool]) -> String {
    let rows = tools.iter().map(|tool| {
        let how = match (tool.streaming, tool.asynchronous) {
            (true, _) => "stream",
            (false, true) => "async",
            (false, false) => "",
        };
        vec![tool.name.clone(), tool.signature.clone(), how.to_owned(), tool.description.clone()]
    });
    let mut text = String::new();
    let heads = ["tool", "arguments", "kind", "what it does"];
    table(&mut text, paint, &heads, &rows.collect::<Vec<_>>());
    text
}

/// What a tool returned, as a line of JSON.
pub(crate) fn value(value: &Value) -> Printed {
    json(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_colour_of_the_head_is_for_the_terminal_and_what_a_tool_says_is_not() {
        let tool = serde_json::json!({
            "name": "score", "description": "a \u{1b}[2J text", "signature": "()", "parameters": [], "returns": null,
            "streaming": false, "asynchronous": false, "required_variables": [],
        });
        let tool: Tool = serde_json::from_value(tool).unwrap();
        let text = listed(&Paint(true), &[tool]);
        let (head, rest) = text.split_once('\n').unwrap();
        assert!(head.starts_with("\u{1b}[2m  tool"), "{text:?}");
        assert!(rest.contains("a \\u{1b}[2J text"), "{text:?}");
    }
}
