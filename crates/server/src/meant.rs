//! Which of many a person means who writes the beginning of its name: ids are long, and nobody types them.

/// Of those that a beginning fits, so many are named.
pub(crate) const NAMED: usize = 10;

/// Why it is not known which is meant.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum Unclear {
    /// There is none.
    #[error("there is no such thing")]
    None,
    /// There are several: some of them.
    #[error("{}", several(.0))]
    Several(Vec<String>),
}

/// The one of these that is named so, else the only one that begins so.
///
/// # Errors
/// There is none, or more than one.
pub(crate) fn meant(
    given: &str,
    names: impl IntoIterator<Item = String>,
) -> Result<String, Unclear> {
    let mut found = Vec::new();
    for name in names {
        if name == given {
            return Ok(name);
        }
        if !given.is_empty() && name.starts_with(given) && !found.contains(&name) {
            found.push(name);
        }
    }
    match found.len() {
        0 => Err(Unclear::None),
        1 => Ok(found.remove(0)),
        _ => Err(Unclear::Several(found)),
    }
}

fn several(names: &[String]) -> String {
    let (shown, rest) = names.split_at(names.len().min(NAMED));
    let more = if rest.is_empty() { "" } else { " and more" };
    format!("several begin so: {}{more}", shown.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(given: &str, names: &[&str]) -> Result<String, Unclear> {
        meant(given, names.iter().map(|&name| name.to_owned()))
    }

    #[test]
    fn a_beginning_is_enough_if_it_is_of_one_and_a_whole_name_always() {
        let all = ["ab12", "ab1", "b7", "b7"];
        assert_eq!(of("b", &all), Ok("b7".to_owned()));
        assert_eq!(of("ab1", &all), Ok("ab1".to_owned()));
        assert_eq!(of("ab12", &all), Ok("ab12".to_owned()));
        for none in ["", "c", "ab123", "B"] {
            assert_eq!(of(none, &all), Err(Unclear::None), "{none}");
        }
        let said = of("ab", &all).unwrap_err().to_string();
        assert_eq!(said, "several begin so: ab12, ab1");
        let many: Vec<String> = (0..20).map(|at| format!("x{at:02}")).collect();
        let said = meant("x", many).unwrap_err().to_string();
        assert!(said.ends_with("x09 and more"), "{said}");
    }
}
