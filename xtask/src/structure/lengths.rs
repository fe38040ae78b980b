//! How long functions are.

use std::path::PathBuf;

use syn::visit::{self, Visit};
use syn::{Block, Signature};

use crate::source::{Module, Source, is_test};

/// Lines between the braces; comments count, tests do not.
const MOST_LINES: usize = 70;

/// A function that is too long.
pub(super) struct Long {
    pub(super) file: PathBuf,
    /// With its module and type: `wake/party::Party::step`.
    pub(super) name: String,
    pub(super) line: usize,
    pub(super) lines: usize,
}

/// All functions that are too long.
pub(super) fn long_functions(source: &Source) -> Vec<Long> {
    let mut found = Vec::new();
    for module in &source.modules {
        let mut walk = Walk {
            module,
            owner: None,
            found: &mut found,
        };
        for item in &module.items {
            walk.visit_item(item);
        }
    }
    found
}

struct Walk<'a> {
    module: &'a Module,
    owner: Option<String>,
    found: &'a mut Vec<Long>,
}

impl Walk<'_> {
    fn measure(&mut self, signature: &Signature, block: &Block) {
        let braces = block.brace_token.span;
        let lines = (braces.close().start().line - braces.open().start().line).saturating_sub(1);
        if lines > MOST_LINES {
            let module = Some(self.module.path.join("/")).filter(|path| !path.is_empty());
            let names = [
                module,
                self.owner.clone(),
                Some(signature.ident.to_string()),
            ];
            self.found.push(Long {
                file: self.module.file.clone(),
                name: names.into_iter().flatten().collect::<Vec<_>>().join("::"),
                line: signature.ident.span().start().line,
                lines,
            });
        }
    }
}

impl<'ast> Visit<'ast> for Walk<'_> {
    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        let owner = match &*item.self_ty {
            syn::Type::Path(ty) => ty.path.segments.last().map(|last| last.ident.to_string()),
            _ => None,
        };
        let outer = std::mem::replace(&mut self.owner, owner);
        visit::visit_item_impl(self, item);
        self.owner = outer;
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        if !is_test(&item.attrs) {
            self.measure(&item.sig, &item.block);
            visit::visit_item_fn(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        if !is_test(&item.attrs) {
            self.measure(&item.sig, &item.block);
            visit::visit_impl_item_fn(self, item);
        }
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(block) = &item.default {
            self.measure(&item.sig, block);
        }
        visit::visit_trait_item_fn(self, item);
    }
}
