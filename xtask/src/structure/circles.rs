//! Circles among the parts of a crate. The parts of a folder are the files and folders in it, each folder with all
//! that lies below it, and the folder's own module file.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;

use super::arrows::Arrow;
use crate::source::Source;

/// Two parts, the first of which uses the second.
pub(super) type Edge = (String, String);

/// Where a part uses another.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) file: PathBuf,
    pub(super) line: usize,
    pub(super) is_call: bool,
}

/// Which part uses which, and one place where it does.
#[derive(Default)]
pub(super) struct Graph {
    edges: BTreeMap<Edge, Place>,
}

/// Parts that use each other in a ring, one arrow from each to the next.
#[derive(Debug)]
pub(super) struct Circle {
    pub(super) edges: Vec<(Edge, Place)>,
}

impl Graph {
    /// Adds the arrows of one of a crate's programs, each on the level of folders where it is between two parts.
    pub(super) fn add(&mut self, source: &Source, arrows: &[Arrow]) {
        for arrow in arrows {
            let [from, to] = [arrow.from, arrow.to].map(|module| &source.modules[module].path);
            let common = from.iter().zip(to).take_while(|(a, b)| a == b).count();
            let edge = (part(source, from, common), part(source, to, common));
            self.edges.entry(edge).or_insert_with(|| Place {
                file: source.modules[arrow.from].file.clone(),
                line: arrow.line,
                is_call: arrow.is_call,
            });
        }
    }

    pub(super) fn has(&self, edge: &Edge) -> bool {
        self.edges.contains_key(edge)
    }

    /// Whether an arrow closes a circle: one can come back from its end to its beginning.
    pub(super) fn closes_circle(&self, edge: &Edge) -> bool {
        self.way(&edge.1, &edge.0).is_some()
    }

    pub(super) fn without(&self, cut: &BTreeSet<Edge>) -> Self {
        let left = self.edges.iter().filter(|(edge, _)| !cut.contains(*edge));
        Self {
            edges: left
                .map(|(edge, place)| (edge.clone(), place.clone()))
                .collect(),
        }
    }

    /// For each arrow that lies on one, the shortest circle through it; each circle once, short ones first.
    pub(super) fn circles(&self) -> Vec<Circle> {
        let mut seen = BTreeSet::new();
        let mut circles = Vec::new();
        for (from, to) in self.edges.keys() {
            let Some(back) = self.way(to, from) else {
                continue;
            };
            let mut ring = vec![from.clone()];
            ring.extend(back.into_iter().take_while(|part| part != from));
            let first = (0..ring.len()).min_by_key(|at| &ring[*at]).unwrap_or(0);
            ring.rotate_left(first);
            if !seen.insert(ring.clone()) {
                continue;
            }
            let next = ring.iter().cycle().skip(1);
            let edges = ring.iter().zip(next).map(|(from, to)| {
                let edge = (from.clone(), to.clone());
                let place = self.edges[&edge].clone();
                (edge, place)
            });
            circles.push(Circle {
                edges: edges.collect(),
            });
        }
        circles.sort_by_key(|circle| circle.edges.len());
        circles
    }

    /// The shortest way, both ends included.
    fn way(&self, from: &str, to: &str) -> Option<Vec<String>> {
        let mut before: BTreeMap<&str, &str> = BTreeMap::new();
        let mut next = VecDeque::from([from]);
        while let Some(at) = next.pop_front() {
            if at == to {
                let mut way = vec![at.to_owned()];
                let mut at = at;
                while at != from {
                    at = before[at];
                    way.push(at.to_owned());
                }
                way.reverse();
                return Some(way);
            }
            for (_, other) in self.edges.keys().filter(|(start, _)| start == at) {
                if other != from && !before.contains_key(other.as_str()) {
                    before.insert(other, at);
                    next.push_back(other);
                }
            }
        }
        None
    }
}

/// The name of the part of a folder that a module belongs to: the folder itself for its own module file.
fn part(source: &Source, path: &[String], folder: usize) -> String {
    if path.is_empty() {
        let root = source.modules[0].file.file_stem().unwrap_or_default();
        return root.to_string_lossy().into_owned();
    }
    path[..path.len().min(folder + 1)].join("/")
}
