//! Who uses whom in a crate: an arrow for every path and every method call that leads from one file into another.

use std::collections::BTreeMap;

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use syn::punctuated::Punctuated;
use syn::visit::{self, Visit};
use syn::{Block, Expr, FnArg, Signature, Token};

use super::index::{Found, Index, Kind, segments};
use super::known::Known;
use super::uses::Uses;
use crate::source::is_test;

/// One use of another file.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Arrow {
    /// The module whose file uses, and the one whose file is used.
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) line: usize,
    /// A call, rather than a name of a type or constant.
    pub(super) is_call: bool,
}

/// All arrows of a crate, the first of each kind between two files.
pub(super) fn arrows(index: &Index) -> Vec<Arrow> {
    let mut found = BTreeMap::new();
    for (at, module) in index.source.modules.iter().enumerate() {
        let mut walk = Walk {
            known: Known {
                index,
                module: at,
                this: None,
                scopes: vec![BTreeMap::new()],
            },
            found: &mut found,
        };
        for item in &module.items {
            walk.visit_item(item);
        }
    }
    let arrows = found.into_iter().map(|((from, to, is_call), line)| Arrow {
        from,
        to,
        line,
        is_call,
    });
    arrows.collect()
}

struct Walk<'a> {
    known: Known<'a>,
    found: &'a mut BTreeMap<(usize, usize, bool), usize>,
}

impl Walk<'_> {
    fn arrow(&mut self, to_module: usize, line: usize, is_call: bool) {
        let modules = &self.known.index.source.modules;
        let (from, to) = (modules[self.known.module].home, modules[to_module].home);
        // A file may name the types of the one that it lies below: they are one thing seen from far. It may not call it.
        let below = modules[from].path.starts_with(&modules[to].path);
        if from != to && (is_call || !below) {
            self.found.entry((from, to, is_call)).or_insert(line);
        }
    }

    fn arrow_to(&mut self, found: Option<Found>, line: usize) {
        match found {
            Some(Found::Definition(at, rest)) => {
                let definition = &self.known.index.definitions[at];
                self.arrow(definition.module, line, definition.is_function);
                let kind = Kind {
                    definition: Some(at),
                    parts: Vec::new(),
                };
                if let Some(method) = rest
                    .first()
                    .and_then(|name| self.known.index.method(&kind, name))
                {
                    self.arrow(method.module, line, true);
                }
            }
            Some(Found::Module(module) | Found::Inside(module)) => self.arrow(module, line, false),
            None => {}
        }
    }

    fn scope(&mut self, inside: impl FnOnce(&mut Self)) {
        self.known.scopes.push(BTreeMap::new());
        inside(self);
        self.known.scopes.pop();
    }

    fn path(&mut self, names: &[String], line: usize) {
        match names {
            [name] if self.known.local(name).is_some() => {}
            [this, name, ..] if this == "Self" => {
                let this = self.known.this.clone().unwrap_or_default();
                if let Some(method) = self.known.index.method(&this, name) {
                    self.arrow(method.module, line, true);
                }
            }
            names => self.arrow_to(self.known.index.resolve(self.known.module, names), line),
        }
    }

    fn call(&mut self, receiver: &Kind, name: &str, line: usize) {
        if let Some(method) = self.known.index.method(receiver, name) {
            self.arrow(method.module, line, true);
        }
    }

    fn function(&mut self, signature: &Signature, block: Option<&Block>) {
        self.visit_signature(signature);
        let mut locals = BTreeMap::new();
        for input in &signature.inputs {
            if let FnArg::Receiver(_) = input {
                locals.insert(
                    "self".to_owned(),
                    self.known.this.clone().unwrap_or_default(),
                );
            }
        }
        let outer = std::mem::replace(&mut self.known.scopes, vec![locals]);
        for input in &signature.inputs {
            if let FnArg::Typed(input) = input {
                let kind =
                    self.known
                        .index
                        .kind(self.known.module, &input.ty, self.known.this.as_ref());
                self.known.bind(&input.pat, kind);
            }
        }
        if let Some(block) = block {
            self.visit_block(block);
        }
        self.known.scopes = outer;
    }

    /// A macro's words that are no list of expressions: blocks in it, and the paths and calls on `self` between them.
    fn tokens(&mut self, tokens: TokenStream) {
        let trees: Vec<TokenTree> = tokens.into_iter().collect();
        let mut at = 0;
        while at < trees.len() {
            match &trees[at] {
                TokenTree::Group(group) => {
                    let whole = TokenStream::from(trees[at].clone());
                    match syn::parse2::<Block>(whole) {
                        Ok(block) if group.delimiter() == Delimiter::Brace => {
                            self.visit_block(&block);
                        }
                        _ => self.tokens(group.stream()),
                    }
                    at += 1;
                }
                TokenTree::Ident(_) => {
                    // The longest run of words that is an expression; single words are nothing.
                    let end = (at + 1..trees.len())
                        .find(|end| {
                            matches!(&trees[*end], TokenTree::Punct(mark)
                                if matches!(mark.as_char(), ',' | '=' | ';' | '|'))
                        })
                        .unwrap_or(trees.len());
                    let run: TokenStream = trees[at..end].iter().cloned().collect();
                    match syn::parse2::<Expr>(run) {
                        Ok(expression) => {
                            self.visit_expr(&expression);
                            at = end;
                        }
                        Err(_) => at += 1,
                    }
                }
                _ => at += 1,
            }
        }
    }
}

impl<'ast> Visit<'ast> for Walk<'_> {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let mut uses = Uses::default();
        uses.visit_item_use(item);
        for import in uses.found.iter().filter(|import| !import.shown) {
            self.arrow_to(
                self.known.index.resolve(self.known.module, &import.path),
                import.line,
            );
        }
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        // That a type has an `impl` here is no use of its file: what the methods call is.
        let this = self
            .known
            .index
            .kind(self.known.module, &item.self_ty, None);
        self.visit_generics(&item.generics);
        if let Some((_, path, _)) = &item.trait_ {
            self.visit_path(path);
        }
        let outer = self.known.this.replace(this);
        for item in &item.items {
            self.visit_impl_item(item);
        }
        self.known.this = outer;
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        let found = self
            .known
            .index
            .resolve(self.known.module, &[item.ident.to_string()]);
        let this = match found {
            Some(Found::Definition(at, _)) => Kind {
                definition: Some(at),
                parts: Vec::new(),
            },
            _ => Kind::default(),
        };
        let outer = self.known.this.replace(this);
        visit::visit_item_trait(self, item);
        self.known.this = outer;
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        if !is_test(&item.attrs) {
            self.function(&item.sig, Some(&item.block));
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        if !is_test(&item.attrs) {
            self.function(&item.sig, Some(&item.block));
        }
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        self.function(&item.sig, item.default.as_ref());
    }

    fn visit_block(&mut self, block: &'ast Block) {
        self.scope(|walk| visit::visit_block(walk, block));
    }

    fn visit_local(&mut self, local: &'ast syn::Local) {
        visit::visit_local(self, local);
        let kind = local.init.as_ref().map(|init| self.known.kind(&init.expr));
        self.known.bind(&local.pat, kind.unwrap_or_default());
    }

    fn visit_expr_let(&mut self, condition: &'ast syn::ExprLet) {
        visit::visit_expr_let(self, condition);
        let kind = self.known.kind(&condition.expr);
        self.known.bind(&condition.pat, kind);
    }

    fn visit_expr_match(&mut self, expression: &'ast syn::ExprMatch) {
        self.visit_expr(&expression.expr);
        let kind = self.known.kind(&expression.expr);
        for arm in &expression.arms {
            self.scope(|walk| {
                walk.known.bind(&arm.pat, kind.clone());
                walk.visit_arm(arm);
            });
        }
    }

    fn visit_expr_for_loop(&mut self, expression: &'ast syn::ExprForLoop) {
        self.visit_expr(&expression.expr);
        let each = self
            .known
            .kind(&expression.expr)
            .parts
            .pop()
            .unwrap_or_default();
        self.scope(|walk| {
            walk.known.bind(&expression.pat, each);
            walk.visit_block(&expression.body);
        });
    }

    fn visit_expr_closure(&mut self, closure: &'ast syn::ExprClosure) {
        self.scope(|walk| {
            for input in &closure.inputs {
                walk.visit_pat(input);
                walk.known.bind(input, Kind::default());
            }
            walk.visit_expr(&closure.body);
        });
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        let receiver = self.known.kind(&call.receiver);
        let line = call.method.span().start().line;
        self.call(&receiver, &call.method.to_string(), line);
        self.visit_expr(&call.receiver);
        for argument in &call.args {
            match argument {
                // `devices.iter().map(|device| device.mode())`: each of what the receiver holds.
                Expr::Closure(closure) if closure.inputs.len() == 1 => self.scope(|walk| {
                    let each = receiver.parts.last().cloned().unwrap_or_default();
                    walk.known.bind(&closure.inputs[0], each);
                    walk.visit_pat(&closure.inputs[0]);
                    walk.visit_expr(&closure.body);
                }),
                argument => self.visit_expr(argument),
            }
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if let Some(first) = path.segments.first() {
            self.path(&segments(path), first.ident.span().start().line);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, called: &'ast syn::Macro) {
        match called.parse_body_with(Punctuated::<Expr, Token![,]>::parse_terminated) {
            Ok(expressions) => {
                for expression in &expressions {
                    self.visit_expr(expression);
                }
            }
            Err(_) => self.tokens(called.tokens.clone()),
        }
    }
}
