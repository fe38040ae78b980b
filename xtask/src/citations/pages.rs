//! Citations of the project's own pages: `behaviour.md` 5.7, `docs/architecture.md`, invariant 6.

use std::collections::BTreeSet;

/// A page, and the number behind it, if one is cited.
#[derive(Debug, PartialEq)]
pub(super) struct Citation {
    pub(super) line: usize,
    /// As it is written: with `docs/`, or a name alone.
    pub(super) page: String,
    pub(super) number: Option<String>,
}

/// Finds pages in `docs/`, and any page with a number behind it; further numbers of an enumeration too.
pub(super) fn citations(source: &str) -> Vec<Citation> {
    let mut found = Vec::new();
    for (index, line) in source.lines().enumerate() {
        for (at, ending) in line.match_indices(".md") {
            let is_name = |c: char| c.is_ascii_alphanumeric() || "/-_.".contains(c);
            let start = line[..at]
                .rfind(|c| !is_name(c))
                .map_or(0, |before| before + 1);
            let page = &line[start..at + ending.len()];
            let numbers = numbers(&line[at + ending.len()..]);
            let cite = |number| Citation {
                line: index + 1,
                page: page.to_owned(),
                number,
            };
            if numbers.is_empty() && page.starts_with("docs/") {
                found.push(cite(None));
            }
            found.extend(numbers.into_iter().map(|number| cite(Some(number))));
        }
    }
    found
}

/// The numbers that follow at once: `` ` 5, 6 and 8``, `, invariant 6`.
fn numbers(behind: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = behind.trim_start_matches('`');
    rest = rest.strip_prefix(", invariant").unwrap_or(rest);
    loop {
        let next = [", and ", " and ", ", ", " "].iter().find_map(|link| {
            rest.strip_prefix(link)
                .filter(|next| next.starts_with(|c: char| c.is_ascii_digit()))
        });
        let Some(next) = next else { return found };
        let end = next
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(next.len());
        found.push(next[..end].trim_end_matches('.').to_owned());
        rest = &next[end..];
    }
}

/// The numbers of a page: of its headings (`## 5. …`), and of the list below each (`5.7`); of a list below a heading
/// without a number, just that.
pub(super) fn sections(page: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut heading = String::new();
    for line in page.lines() {
        let (title, is_heading) = match line.strip_prefix("## ") {
            Some(title) => (title, true),
            None => (line, false),
        };
        let number = title.split_once(". ").map(|(number, _)| number);
        let number = number.filter(|number| number.parse::<u32>().is_ok());
        match (is_heading, number) {
            (true, Some(number)) => {
                found.insert(number.to_owned());
                heading = format!("{number}.");
            }
            (true, None) => heading.clear(),
            (false, Some(number)) => {
                found.insert(format!("{heading}{number}"));
            }
            (false, None) => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(String, Option<String>)> {
        let found = citations(text).into_iter();
        found.map(|found| (found.page, found.number)).collect()
    }

    #[test]
    fn pages_are_found_with_every_number_of_a_row() {
        let expected = |page: &str, numbers: &[&str]| -> Vec<_> {
            let numbers = numbers.iter();
            numbers
                .map(|number| (page.to_owned(), Some((*number).to_owned())))
                .collect()
        };
        assert_eq!(
            found("/// One rule (`behaviour.md` 5.6, 6 and 8), 2 of them."),
            expected("behaviour.md", &["5.6", "6", "8"])
        );
        assert_eq!(
            found("# pure (docs/architecture.md, invariant 1)."),
            expected("docs/architecture.md", &["1"])
        );
        assert_eq!(
            found("see docs/adr/0001-x.md"),
            [("docs/adr/0001-x.md".to_owned(), None)]
        );
        assert!(found("a page of no interest: secrets.md").is_empty());
    }

    #[test]
    fn headings_and_the_items_below_them_have_numbers() {
        let page = "# Title\n## 5. A call\n1. First\n   2. of no list of ours\n12. Last\n## Rules\n3. **Pure**\n";
        assert_eq!(
            sections(page),
            BTreeSet::from(["5", "5.1", "5.12", "3"].map(str::to_owned))
        );
    }
}
