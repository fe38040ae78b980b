//! What `use` brings in.

use syn::visit::Visit;
use syn::{UseTree, Visibility};

/// One leaf of a `use`: the path, and the name it gets; none for `*`.
pub(super) struct Import {
    pub(super) path: Vec<String>,
    pub(super) name: Option<String>,
    pub(super) line: usize,
    /// A `pub use` shows what others define, and uses nothing.
    pub(super) shown: bool,
}

/// Collects every `use`, those in function bodies too.
#[derive(Default)]
pub(super) struct Uses {
    pub(super) found: Vec<Import>,
}

impl Visit<'_> for Uses {
    fn visit_item_use(&mut self, item: &syn::ItemUse) {
        let shown = !matches!(item.vis, Visibility::Inherited);
        self.leaves(&item.tree, &mut Vec::new(), shown);
    }
}

impl Uses {
    fn leaves(&mut self, tree: &UseTree, path: &mut Vec<String>, shown: bool) {
        let (last, name) = match tree {
            UseTree::Path(tree) => {
                path.push(tree.ident.to_string());
                self.leaves(&tree.tree, path, shown);
                path.pop();
                return;
            }
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.leaves(tree, path, shown);
                }
                return;
            }
            UseTree::Name(name) => (Some(&name.ident), Some(&name.ident)),
            UseTree::Rename(rename) => (Some(&rename.ident), Some(&rename.rename)),
            UseTree::Glob(_) => (None, None),
        };
        let mut whole = path.clone();
        match last {
            Some(last) if last != "self" => whole.push(last.to_string()),
            _ => {}
        }
        let name = match name {
            Some(name) if name == "self" => whole.last().cloned(),
            name => name.map(ToString::to_string),
        };
        let line = syn::spanned::Spanned::span(tree).start().line;
        self.found.push(Import {
            path: whole,
            name,
            line,
            shown,
        });
    }
}
