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
    table(&mut text, &Paint::of(&io::stdout()), &heads, &rows.collect::<Vec<_>>());
    data(&crate::text::lines(&text))
}

/// What a tool returned, as a line of JSON.
pub(crate) fn value(value: &Value) -> Printed {
    json(value)
}
