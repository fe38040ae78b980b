//! What a crate defines and where: names, the types of fields, what functions return, methods. Enough to tell whose
//! code a path or a call leads to; not a type checker. What it does not know, it leaves alone.

use std::collections::HashMap;

use syn::visit::Visit;
use syn::{Fields, ImplItem, Item, ReturnType, TraitItem};

use super::uses::Uses;
use crate::source::{Module, Source};

/// How deep re-exports of re-exports are followed.
const MOST_HOPS: usize = 16;
/// Pointers that a method call looks through.
const TRANSPARENT: [&str; 4] = ["Box", "Arc", "Rc", "Pin"];

/// What is known of a type: its definition, if that is in this crate, and what it is made of.
#[derive(Clone, Debug, Default)]
pub(super) struct Kind {
    pub(super) definition: Option<usize>,
    pub(super) parts: Vec<Kind>,
}

/// A function, a type, a trait or a constant.
pub(super) struct Definition {
    /// The module that it stands in.
    pub(super) module: usize,
    pub(super) is_function: bool,
    /// What a function returns, or what an alias stands for.
    pub(super) is: Kind,
    /// Of a struct by name or number; of an enum as `Variant.field`.
    pub(super) fields: HashMap<String, Kind>,
}

/// A method or associated function of a type or trait.
pub(super) struct Method {
    pub(super) module: usize,
    pub(super) returns: Kind,
}

/// Where a path leads.
#[derive(Debug)]
pub(super) enum Found {
    Module(usize),
    /// A definition, and the rest of the path behind it: a variant, an associated item.
    Definition(usize, Vec<String>),
    /// Something in this module that only its macros define.
    Inside(usize),
}

#[derive(Default)]
struct Names {
    modules: HashMap<String, usize>,
    definitions: HashMap<String, usize>,
    imports: HashMap<String, Vec<String>>,
    globs: Vec<Vec<String>>,
}

/// All that a crate defines.
pub(super) struct Index<'a> {
    pub(super) source: &'a Source,
    names: Vec<Names>,
    pub(super) definitions: Vec<Definition>,
    methods: HashMap<(usize, String), Method>,
}

impl<'a> Index<'a> {
    pub(super) fn of(source: &'a Source) -> Self {
        let mut index = Self {
            source,
            names: source.modules.iter().map(|_| Names::default()).collect(),
            definitions: Vec::new(),
            methods: HashMap::new(),
        };
        for (at, module) in source.modules.iter().enumerate() {
            if let (Some(parent), Some(name)) = (module.parent, module.path.last()) {
                index.names[parent].modules.insert(name.clone(), at);
            }
            index.name_items(at, module);
        }
        // Aliases first: what the others are made of may go by one.
        for aliases in [true, false] {
            for (at, module) in source.modules.iter().enumerate() {
                for item in &module.items {
                    if matches!(item, Item::Type(_)) == aliases {
                        index.describe(at, item);
                    }
                }
            }
        }
        index
    }

    /// The first pass: what is called what.
    fn name_items(&mut self, at: usize, module: &Module) {
        for item in &module.items {
            let (name, is_function) = match item {
                Item::Const(item) => (&item.ident, false),
                Item::Enum(item) => (&item.ident, false),
                Item::Fn(item) => (&item.sig.ident, true),
                Item::Static(item) => (&item.ident, false),
                Item::Struct(item) => (&item.ident, false),
                Item::Trait(item) => (&item.ident, false),
                Item::Type(item) => (&item.ident, false),
                _ => continue,
            };
            self.names[at]
                .definitions
                .insert(name.to_string(), self.definitions.len());
            self.definitions.push(Definition {
                module: at,
                is_function,
                is: Kind::default(),
                fields: HashMap::new(),
            });
        }
        let mut uses = Uses::default();
        for item in &module.items {
            uses.visit_item(item);
        }
        for import in uses.found {
            match import.name {
                Some(name) => {
                    self.names[at].imports.insert(name, import.path);
                }
                None => self.names[at].globs.push(import.path),
            }
        }
    }

    /// The second pass, when all names are known: fields, results, methods.
    fn describe(&mut self, at: usize, item: &Item) {
        match item {
            Item::Fn(function) => {
                let is = self.returned(at, &function.sig.output, None);
                self.define(at, &function.sig.ident, is, HashMap::new());
            }
            Item::Type(alias) => {
                let is = self.kind(at, &alias.ty, None);
                self.define(at, &alias.ident, is, HashMap::new());
            }
            Item::Struct(item) => {
                let fields = self.fields(at, &item.fields, "");
                self.define(at, &item.ident, Kind::default(), fields);
            }
            Item::Enum(item) => {
                let fields = item.variants.iter().flat_map(|variant| {
                    self.fields(at, &variant.fields, &format!("{}.", variant.ident))
                });
                let fields = fields.collect();
                self.define(at, &item.ident, Kind::default(), fields);
            }
            Item::Impl(item) => {
                let this = self.kind(at, &item.self_ty, None);
                let Some(definition) = this.definition else {
                    return;
                };
                for item in &item.items {
                    if let ImplItem::Fn(method) = item {
                        self.add_method(at, definition, &method.sig, &this);
                    }
                }
            }
            Item::Trait(item) => {
                let definition = self.names[at].definitions[&item.ident.to_string()];
                let this = Kind {
                    definition: Some(definition),
                    parts: Vec::new(),
                };
                for item in &item.items {
                    if let TraitItem::Fn(method) = item {
                        self.add_method(at, definition, &method.sig, &this);
                    }
                }
            }
            _ => {}
        }
    }

    fn define(&mut self, at: usize, name: &syn::Ident, is: Kind, fields: HashMap<String, Kind>) {
        let definition = self.names[at].definitions[&name.to_string()];
        let definition = &mut self.definitions[definition];
        (definition.is, definition.fields) = (is, fields);
    }

    fn add_method(
        &mut self,
        at: usize,
        definition: usize,
        signature: &syn::Signature,
        this: &Kind,
    ) {
        let returns = self.returned(at, &signature.output, Some(this));
        let key = (definition, signature.ident.to_string());
        let method = Method {
            module: at,
            returns,
        };
        self.methods.entry(key).or_insert(method);
    }

    fn fields(&self, at: usize, fields: &Fields, prefix: &str) -> HashMap<String, Kind> {
        let named = fields.iter().enumerate().map(|(number, field)| {
            let name = field
                .ident
                .as_ref()
                .map_or_else(|| number.to_string(), ToString::to_string);
            (format!("{prefix}{name}"), self.kind(at, &field.ty, None))
        });
        named.collect()
    }

    fn returned(&self, at: usize, output: &ReturnType, this: Option<&Kind>) -> Kind {
        match output {
            ReturnType::Default => Kind::default(),
            ReturnType::Type(_, ty) => self.kind(at, ty, this),
        }
    }

    /// The method that a value of this kind has, if this crate defines it.
    pub(super) fn method(&self, kind: &Kind, name: &str) -> Option<&Method> {
        self.methods.get(&(kind.definition?, name.to_owned()))
    }

    pub(super) fn field(&self, kind: &Kind, name: &str) -> Kind {
        let known = match kind.definition {
            Some(definition) => self.definitions[definition].fields.get(name),
            None => name.parse().ok().and_then(|at: usize| kind.parts.get(at)),
        };
        known.cloned().unwrap_or_default()
    }

    /// What a type written in a module is.
    pub(super) fn kind(&self, at: usize, ty: &syn::Type, this: Option<&Kind>) -> Kind {
        match ty {
            syn::Type::Reference(ty) => self.kind(at, &ty.elem, this),
            syn::Type::Paren(ty) => self.kind(at, &ty.elem, this),
            syn::Type::Group(ty) => self.kind(at, &ty.elem, this),
            syn::Type::Slice(ty) => Kind {
                definition: None,
                parts: vec![self.kind(at, &ty.elem, this)],
            },
            syn::Type::Array(ty) => Kind {
                definition: None,
                parts: vec![self.kind(at, &ty.elem, this)],
            },
            syn::Type::Tuple(ty) => Kind {
                definition: None,
                parts: ty.elems.iter().map(|ty| self.kind(at, ty, this)).collect(),
            },
            syn::Type::ImplTrait(ty) => self.kind_of_bounds(at, &ty.bounds, this),
            syn::Type::TraitObject(ty) => self.kind_of_bounds(at, &ty.bounds, this),
            syn::Type::Path(ty) => self.kind_of_path(at, &ty.path, this),
            _ => Kind::default(),
        }
    }

    fn kind_of_bounds<'b>(
        &self,
        at: usize,
        bounds: impl IntoIterator<Item = &'b syn::TypeParamBound>,
        this: Option<&Kind>,
    ) -> Kind {
        let mut bounds = bounds.into_iter();
        match bounds.next() {
            Some(syn::TypeParamBound::Trait(bound)) => self.kind_of_path(at, &bound.path, this),
            _ => Kind::default(),
        }
    }

    fn kind_of_path(&self, at: usize, path: &syn::Path, this: Option<&Kind>) -> Kind {
        let Some(last) = path.segments.last() else {
            return Kind::default();
        };
        if path.is_ident("Self") {
            return this.cloned().unwrap_or_default();
        }
        let mut parts: Vec<Kind> = match &last.arguments {
            syn::PathArguments::AngleBracketed(arguments) => arguments
                .args
                .iter()
                .filter_map(|argument| match argument {
                    syn::GenericArgument::Type(ty) => Some(self.kind(at, ty, this)),
                    syn::GenericArgument::AssocType(ty) => Some(self.kind(at, &ty.ty, this)),
                    _ => None,
                })
                .collect(),
            _ => Vec::new(),
        };
        if TRANSPARENT.iter().any(|name| last.ident == name) && !parts.is_empty() {
            return parts.swap_remove(0);
        }
        match self.resolve(at, &segments(path)) {
            Some(Found::Definition(definition, rest)) if rest.is_empty() => {
                let alias = &self.definitions[definition].is;
                if alias.definition.is_some() || !alias.parts.is_empty() {
                    return alias.clone();
                }
                Kind {
                    definition: Some(definition),
                    parts,
                }
            }
            _ => Kind {
                definition: None,
                parts,
            },
        }
    }

    /// Where a path that is written in a module leads; nothing if that is out of this crate.
    pub(super) fn resolve(&self, at: usize, path: &[String]) -> Option<Found> {
        self.resolve_within(at, path, MOST_HOPS)
    }

    fn resolve_within(&self, at: usize, path: &[String], hops: usize) -> Option<Found> {
        let (first, rest) = path.split_first()?;
        match first.as_str() {
            "crate" => self.walk(0, rest, hops),
            "self" if !rest.is_empty() => self.walk(at, rest, hops),
            "super" => self.walk(self.source.modules[at].parent?, rest, hops),
            name => self.go_on(self.named(at, name, hops)?, rest, hops),
        }
    }

    fn walk(&self, at: usize, path: &[String], hops: usize) -> Option<Found> {
        match path.split_first() {
            None => Some(Found::Module(at)),
            Some((first, rest)) if first == "super" => {
                self.walk(self.source.modules[at].parent?, rest, hops)
            }
            Some((first, rest)) => match self.named(at, first, hops) {
                Some(found) => self.go_on(found, rest, hops),
                None => Some(Found::Inside(at)),
            },
        }
    }

    fn go_on(&self, found: Found, rest: &[String], hops: usize) -> Option<Found> {
        match found {
            Found::Module(module) => self.walk(module, rest, hops),
            Found::Definition(definition, mut behind) => {
                behind.extend_from_slice(rest);
                Some(Found::Definition(definition, behind))
            }
            Found::Inside(module) => Some(Found::Inside(module)),
        }
    }

    fn named(&self, at: usize, name: &str, hops: usize) -> Option<Found> {
        let hops = hops.checked_sub(1)?;
        let names = &self.names[at];
        if let Some(module) = names.modules.get(name) {
            return Some(Found::Module(*module));
        }
        if let Some(definition) = names.definitions.get(name) {
            return Some(Found::Definition(*definition, Vec::new()));
        }
        if let Some(path) = names.imports.get(name) {
            return self.resolve_within(at, path, hops);
        }
        names
            .globs
            .iter()
            .find_map(|path| match self.resolve_within(at, path, hops) {
                Some(Found::Module(module)) if module != at => self.named(module, name, hops),
                _ => None,
            })
    }
}

/// The names of a path.
pub(super) fn segments(path: &syn::Path) -> Vec<String> {
    path.segments
        .iter()
        .map(|segment| segment.ident.to_string())
        .collect()
}
