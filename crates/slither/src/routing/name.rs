//! How a Python function is named: `module:qualified.name`, or `:tool`.

use crate::error::ConfigError;

/// Whether the text has the form `module:qualified.name`, or names a tool, as `:tool`.
pub(crate) fn check_function(function: &str) -> Result<(), ConfigError> {
    let dotted = |text: &str| !text.is_empty() && text.split('.').all(|part| !part.trim().is_empty());
    match function.split_once(':') {
        Some(("", tool)) if !tool.is_empty() => Ok(()),
        Some((module, name)) if dotted(module) && dotted(name) && !name.contains(':') => Ok(()),
        _ => Err(ConfigError::new(format!("`{function}` does not name a Python function"))
            .hint("expected `module:function`, as in `my_model:predict_batch`")),
    }
}

#[cfg(test)]
mod tests {
    use super::check_function;

    #[test]
    fn a_function_is_a_module_and_a_name() {
        for good in ["m:f", "a.b:C.d", ":tool", ":any text: it is Python's"] {
            assert!(check_function(good).is_ok(), "{good}");
        }
        for bad in ["", "m", "m:", ":", "m.f", "m:f:g", "m..n:f"] {
            assert!(check_function(bad).is_err(), "{bad}");
        }
    }
}
