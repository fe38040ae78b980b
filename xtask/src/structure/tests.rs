use std::collections::BTreeMap;
use std::path::Path;

use super::*;

/// A crate of the files named, its root first.
fn source(files: &[(&str, &str)]) -> Source {
    let texts: BTreeMap<&Path, &str> = files
        .iter()
        .map(|(file, text)| (Path::new(*file), *text))
        .collect();
    let read = |path: &Path| texts.get(path).map(|text| (*text).to_owned());
    Source::parse(Path::new(files[0].0), &read).expect("the sources")
}

fn faults_of(files: &[(&str, &str)], exceptions: &str) -> Vec<String> {
    let exceptions = Exceptions::parse(exceptions).expect("the exceptions");
    faults("some", &[source(files)], &exceptions)
}

const SPREAD: [(&str, &str); 3] = [
    ("src/lib.rs", "mod role;"),
    (
        "src/role/mod.rs",
        "mod calls;\nstruct Role;\nimpl Role {\n fn handle(&self) { self.call() }\n fn send(&self) {}\n}",
    ),
    (
        "src/role/calls.rs",
        "use super::Role;\nimpl Role {\n pub fn call(&self) { self.send() }\n}",
    ),
];

#[test]
fn an_impl_that_is_spread_over_files_that_call_each_other_is_a_circle() {
    assert_eq!(
        faults_of(&SPREAD, ""),
        [
            "some: role -> role/calls (calls it at src/role/mod.rs:4) -> role (calls it at src/role/calls.rs:3)"
        ]
    );
}

#[test]
fn a_file_may_name_the_types_of_the_one_above_it_and_be_called_by_it() {
    let mut files = SPREAD;
    files[2].1 = "use super::Role;\nimpl Role { pub fn call(&self) {} }";
    assert!(faults_of(&files, "").is_empty());
}

#[test]
fn imports_in_a_ring_are_a_circle_and_re_exports_are_looked_through() {
    let files = [
        (
            "src/lib.rs",
            "mod a; mod b; mod c; pub use a::A; pub use b::B;",
        ),
        ("src/a.rs", "use crate::B;\npub struct A(B);"),
        ("src/b.rs", "\npub struct B { c: crate::c::C }"),
        ("src/c.rs", "pub struct C; fn of(_: &super::A) {}"),
    ];
    assert_eq!(
        faults_of(&files, ""),
        [
            "some: a -> b (names it at src/a.rs:1) -> c (names it at src/b.rs:2) -> a (names it at src/c.rs:1)"
        ]
    );
}

#[test]
fn calls_are_followed_through_fields_parameters_containers_and_results() {
    let user = |body: &str| {
        format!(
            "use std::collections::HashMap; use crate::b::{{B, find}};
             struct A {{ one: Box<B>, many: HashMap<u8, B> }}
             impl A {{ pub fn go(&self, given: &B) {{ {body} }} }}"
        )
    };
    for body in [
        "self.one.ring();",
        "given.ring();",
        "if let Some(b) = self.many.get(&1) { b.ring() }",
        "for b in self.many.values() { b.ring() }",
        "self.many.values().for_each(|b| b.ring());",
        "let b = find(); b.ring();",
        "let Some(b) = B::other() else { return }; b.ring();",
        "println!(\"{}\", self.one.ring());",
        "select! { () = self.one.ring() => {} }",
        "match B::other() { Some(b) if true => b.ring(), _ => {} }",
    ] {
        let text = user(body);
        let files = [
            ("src/lib.rs", "mod a; mod b; mod c;"),
            ("src/a.rs", text.as_str()),
            (
                "src/b.rs",
                "pub struct B; pub fn find() -> B { B } impl B { pub fn other() -> Option<Self> { None } }",
            ),
            // Only the call leads here, and it leads back.
            (
                "src/c.rs",
                "use crate::{a::A, b::B}; impl B { pub fn ring(&self) { let _: &A; } }",
            ),
        ];
        let found = faults_of(&files, "");
        assert_eq!(found.len(), 1, "{body}: {found:?}");
        assert!(found[0].contains("a -> c (calls it"), "{body}: {found:?}");
    }
}

#[test]
fn tests_and_local_names_are_no_arrows() {
    let files = [
        ("src/lib.rs", "mod a; mod b;"),
        (
            "src/a.rs",
            "pub fn ring() {} #[cfg(test)] mod tests { use crate::b::B; } #[cfg(test)] use crate::b::B;",
        ),
        (
            "src/b.rs",
            "use crate::a; pub struct B; fn f(ring: u8) { a::ring(); let _ = ring; }",
        ),
    ];
    assert!(faults_of(&files, "").is_empty());
}

#[test]
fn a_long_function_is_found_with_its_length_and_a_test_may_be_long() {
    let body = "\n    step();".repeat(71);
    let text = format!(
        "struct Wake;\nimpl Wake {{\n fn step() {{{body}\n }}\n}}\n#[test]\nfn tested() {{{body}\n}}"
    );
    let files = [("src/lib.rs", text.as_str())];
    assert_eq!(
        faults_of(&files, ""),
        ["some: src/lib.rs:3: `Wake::step` has 71 lines"]
    );
    let argued = "[functions.some]\n\"Wake::step\" = \"a table\"";
    assert!(faults_of(&files, argued).is_empty());
}

#[test]
fn an_exception_needs_a_reason_and_must_be_needed() {
    let argued = |arrow: &str, reason: &str| format!("[arrows.some]\n\"{arrow}\" = \"{reason}\"");
    assert!(faults_of(&SPREAD, &argued("role/calls -> role", "because")).is_empty());
    assert_eq!(
        faults_of(&SPREAD, &argued("role/calls -> role", "")).len(),
        2
    );
    // No such arrow; and the circle is still there.
    assert_eq!(
        faults_of(&SPREAD, &argued("role -> other", "because")).len(),
        2
    );
    let mut files = SPREAD;
    files[2].1 = "use super::Role;\nimpl Role { pub fn call(&self) {} }";
    let unneeded = faults_of(&files, &argued("role -> role/calls", "because"));
    assert_eq!(unneeded.len(), 1, "{unneeded:?}");
    let exceptions = Exceptions::parse("[functions.gone]").expect("an exception");
    assert_eq!(exceptions.strangers(&["some"]).count(), 1);
}
