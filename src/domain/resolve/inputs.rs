//! Values that a ResourceSet of the Flux Operator fills into its resources (`<< inputs.version >>`).

use super::instance::Captures;

/// The name behind `inputs.` of a text that is one input and nothing else.
pub(super) fn input_name(text: &str) -> Option<&str> {
    let body = text.trim().strip_prefix("<<")?.strip_suffix(">>")?.trim();
    let name = body.split([' ', '|']).next()?.strip_prefix("inputs.")?;
    (!name.is_empty()).then_some(name)
}

/// Fills the inputs of a row; unknown ones stay.
pub(super) fn fill_inputs(text: &str, row: &Captures) -> String {
    let mut filled = String::new();
    let mut rest = text;
    while let Some(open) = rest.find("<<") {
        let Some(close) = rest[open..].find(">>").map(|at| open + at + 2) else { break };
        filled.push_str(&rest[..open]);
        let value = input_name(&rest[open..close]).and_then(|name| row.get(name));
        filled.push_str(value.map_or(&rest[open..close], String::as_str));
        rest = &rest[close..];
    }
    filled.push_str(rest);
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_of_resource_sets_are_named() {
        assert_eq!(input_name("<< inputs.version >>"), Some("version"));
        assert_eq!(input_name("<<inputs.version | quote>>"), Some("version"));
        assert_eq!(input_name("<< other >>"), None);
        let row = Captures::from([("a".to_owned(), "x".to_owned())]);
        assert_eq!(fill_inputs("b-<< inputs.a >>-<< inputs.c >>", &row), "b-x-<< inputs.c >>");
    }
}
