//! What is argued in `xtask/structure.toml`: arrows that may close a circle, and functions that may be long.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};

use super::circles::{Edge, Graph};
use super::lengths::Long;

/// All exceptions, with the reason of each. The first keys are the crates' names.
#[derive(Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Exceptions {
    /// `"pool/connection -> pool"`.
    #[serde(default)]
    arrows: BTreeMap<String, BTreeMap<String, String>>,
    /// `"wake/party::Party::step"`.
    #[serde(default)]
    functions: BTreeMap<String, BTreeMap<String, String>>,
}

impl Exceptions {
    pub(super) fn parse(text: &str) -> Result<Self> {
        toml::from_str(text).context("the list of exceptions")
    }

    /// The arrows of a crate that are argued for. What does not apply any more is added to `wrong`.
    pub(super) fn arrows(
        &self,
        name: &str,
        graph: &Graph,
        wrong: &mut Vec<String>,
    ) -> BTreeSet<Edge> {
        let mut argued = BTreeSet::new();
        for (written, reason) in self.arrows.get(name).into_iter().flatten() {
            let edge = written
                .split_once(" -> ")
                .map(|(from, to)| (from.to_owned(), to.to_owned()));
            let edge = edge.filter(|edge| graph.has(edge) && graph.closes_circle(edge));
            match edge {
                Some(edge) if !reason.is_empty() => {
                    argued.insert(edge);
                }
                Some(_) => wrong.push(format!("{name}: `{written}` has no reason")),
                None => wrong.push(format!(
                    "{name}: `{written}` closes no circle any more: take the exception out"
                )),
            }
        }
        argued
    }

    /// The functions that are too long and not argued for.
    pub(super) fn unargued(
        &self,
        name: &str,
        long: Vec<Long>,
        wrong: &mut Vec<String>,
    ) -> Vec<Long> {
        let argued = self.functions.get(name);
        for (function, reason) in argued.into_iter().flatten() {
            if reason.is_empty() {
                wrong.push(format!("{name}: `{function}` has no reason"));
            }
            if !long.iter().any(|long| long.name == *function) {
                wrong.push(format!(
                    "{name}: `{function}` is not too long any more: take the exception out"
                ));
            }
        }
        let is_argued = |long: &Long| argued.is_some_and(|argued| argued.contains_key(&long.name));
        long.into_iter().filter(|long| !is_argued(long)).collect()
    }

    /// Crates that are named and do not exist.
    pub(super) fn strangers<'a>(&'a self, names: &'a [&str]) -> impl Iterator<Item = &'a String> {
        let named = self.arrows.keys().chain(self.functions.keys());
        named.filter(|name| !names.contains(&name.as_str()))
    }
}
