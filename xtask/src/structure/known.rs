//! What the expressions and local names of a function are, as far as declarations tell.

use std::collections::BTreeMap;

use syn::{Expr, Pat};

use super::index::{Found, Index, Kind, segments};

/// What is known at one place of the code.
pub(super) struct Known<'a> {
    pub(super) index: &'a Index<'a>,
    pub(super) module: usize,
    /// The type whose `impl` we are in.
    pub(super) this: Option<Kind>,
    /// The names of each block around us.
    pub(super) scopes: Vec<BTreeMap<String, Kind>>,
}

impl Known<'_> {
    pub(super) fn local(&self, name: &str) -> Option<&Kind> {
        self.scopes.iter().rev().find_map(|scope| scope.get(name))
    }

    /// Remembers what the names in a pattern are, if the whole is `kind`.
    pub(super) fn bind(&mut self, pattern: &Pat, kind: Kind) {
        match pattern {
            Pat::Ident(pattern) => {
                if let Some(scope) = self.scopes.last_mut() {
                    scope.insert(pattern.ident.to_string(), kind);
                }
            }
            Pat::Reference(pattern) => self.bind(&pattern.pat, kind),
            Pat::Paren(pattern) => self.bind(&pattern.pat, kind),
            Pat::Type(pattern) => {
                let kind = self
                    .index
                    .kind(self.module, &pattern.ty, self.this.as_ref());
                self.bind(&pattern.pat, kind);
            }
            Pat::Tuple(pattern) => {
                for (at, pattern) in pattern.elems.iter().enumerate() {
                    self.bind(pattern, self.index.field(&kind, &at.to_string()));
                }
            }
            Pat::TupleStruct(pattern) => {
                let names = segments(&pattern.path);
                for (at, inner) in pattern.elems.iter().enumerate() {
                    let kind = match names.last().map(String::as_str) {
                        Some("Some" | "Ok") => kind.parts.first().cloned().unwrap_or_default(),
                        Some("Err") => kind.parts.get(1).cloned().unwrap_or_default(),
                        _ => self.field_of(&names, &at.to_string()),
                    };
                    self.bind(inner, kind);
                }
            }
            Pat::Struct(pattern) => {
                let names = segments(&pattern.path);
                for field in &pattern.fields {
                    let syn::Member::Named(name) = &field.member else {
                        continue;
                    };
                    let kind = self.field_of(&names, &name.to_string());
                    self.bind(&field.pat, kind);
                }
            }
            Pat::Or(pattern) => {
                for case in &pattern.cases {
                    self.bind(case, kind.clone());
                }
            }
            _ => {}
        }
    }

    /// A field of the struct or variant that a path names.
    fn field_of(&self, path: &[String], field: &str) -> Kind {
        let (owner, rest) = match path.split_first() {
            Some((this, rest)) if this == "Self" => {
                (self.this.clone().unwrap_or_default(), rest.to_vec())
            }
            _ => match self.index.resolve(self.module, path) {
                Some(Found::Definition(at, rest)) => (
                    Kind {
                        definition: Some(at),
                        parts: Vec::new(),
                    },
                    rest,
                ),
                _ => return Kind::default(),
            },
        };
        match rest.first() {
            Some(variant) => self.index.field(&owner, &format!("{variant}.{field}")),
            None => self.index.field(&owner, field),
        }
    }

    /// What an expression is, as far as declarations tell.
    pub(super) fn kind(&self, expression: &Expr) -> Kind {
        match expression {
            Expr::Path(path) => match path.path.get_ident() {
                Some(name) => self.local(&name.to_string()).cloned().unwrap_or_default(),
                None => Kind::default(),
            },
            Expr::Field(field) => {
                let name = match &field.member {
                    syn::Member::Named(name) => name.to_string(),
                    syn::Member::Unnamed(number) => number.index.to_string(),
                };
                self.index.field(&self.kind(&field.base), &name)
            }
            Expr::MethodCall(call) => {
                let receiver = self.kind(&call.receiver);
                let name = call.method.to_string();
                match self.index.method(&receiver, &name) {
                    Some(method) => method.returns.clone(),
                    None => known_result(receiver, &name),
                }
            }
            Expr::Call(call) => self.kind_of_call(call),
            Expr::Struct(value) => self.kind_named(&segments(&value.path)),
            Expr::Reference(inner) => self.kind(&inner.expr),
            Expr::Paren(inner) => self.kind(&inner.expr),
            Expr::Await(inner) => self.kind(&inner.base),
            Expr::Unary(inner) => self.kind(&inner.expr),
            Expr::Try(inner) => self
                .kind(&inner.expr)
                .parts
                .into_iter()
                .next()
                .unwrap_or_default(),
            Expr::Index(inner) => self.kind(&inner.expr).parts.pop().unwrap_or_default(),
            Expr::Cast(inner) => self.index.kind(self.module, &inner.ty, self.this.as_ref()),
            _ => Kind::default(),
        }
    }

    fn kind_of_call(&self, call: &syn::ExprCall) -> Kind {
        let Expr::Path(path) = &*call.func else {
            return Kind::default();
        };
        let names = segments(&path.path);
        match &names[..] {
            [wrapper] if wrapper == "Some" || wrapper == "Ok" => Kind {
                definition: None,
                parts: call
                    .args
                    .first()
                    .map(|inner| self.kind(inner))
                    .into_iter()
                    .collect(),
            },
            names => self.kind_named(names),
        }
    }

    /// What comes of calling or building what a path names.
    fn kind_named(&self, names: &[String]) -> Kind {
        let (owner, rest) = match names.split_first() {
            Some((this, rest)) if this == "Self" => {
                (self.this.clone().unwrap_or_default(), rest.to_vec())
            }
            _ => match self.index.resolve(self.module, names) {
                Some(Found::Definition(at, _)) if self.index.definitions[at].is_function => {
                    return self.index.definitions[at].is.clone();
                }
                Some(Found::Definition(at, rest)) => (
                    Kind {
                        definition: Some(at),
                        parts: Vec::new(),
                    },
                    rest,
                ),
                _ => return Kind::default(),
            },
        };
        match rest
            .first()
            .and_then(|name| self.index.method(&owner, name))
        {
            Some(method) => method.returns.clone(),
            None => owner,
        }
    }
}

/// What the standard library makes of a container.
fn known_result(mut receiver: Kind, method: &str) -> Kind {
    if receiver.definition.is_some() {
        return match method {
            "clone" | "as_ref" | "as_mut" | "borrow" | "to_owned" => receiver,
            _ => Kind::default(),
        };
    }
    match method {
        "as_ref" | "as_mut" | "as_deref" | "as_deref_mut" | "clone" | "cloned" | "copied"
        | "iter" | "iter_mut" | "into_iter" | "values" | "values_mut" | "into_values" | "drain"
        | "take" | "filter" | "rev" | "ok" | "ok_or" | "ok_or_else" | "map_err" | "or_insert"
        | "entry" | "skip" | "chain" => receiver,
        "get" | "get_mut" | "remove" | "first" | "first_mut" | "last" | "last_mut" | "front"
        | "front_mut" | "back" | "back_mut" | "pop" | "pop_front" | "pop_back" | "next"
        | "find" | "min_by_key" | "max_by_key" | "peek" => Kind {
            definition: None,
            parts: receiver.parts.pop().into_iter().collect(),
        },
        "unwrap" | "expect" | "unwrap_or" | "unwrap_or_default" | "unwrap_or_else" | "lock"
        | "read" | "write" | "borrow" | "borrow_mut" => {
            receiver.parts.into_iter().next().unwrap_or_default()
        }
        "or_default" | "or_insert_with" => receiver.parts.pop().unwrap_or_default(),
        _ => Kind::default(),
    }
}
