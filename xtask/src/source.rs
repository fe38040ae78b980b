//! A crate as the compiler sees it: its tree of modules with their items, tests left out.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use syn::{Attribute, Item};

/// Every module of one crate. The first is the root.
#[derive(Default)]
pub(crate) struct Source {
    pub(crate) modules: Vec<Module>,
}

/// One module: a file, or a `mod name { … }` inside one.
pub(crate) struct Module {
    /// Its names from the crate's root, whose own path is empty.
    pub(crate) path: Vec<String>,
    pub(crate) parent: Option<usize>,
    /// The module whose file this one stands in: often itself.
    pub(crate) home: usize,
    pub(crate) file: PathBuf,
    pub(crate) items: Vec<Item>,
}

impl Source {
    /// Follows `mod` from the crate's root file. `read` returns a file's text, or nothing where there is no such file.
    pub(crate) fn parse(root: &Path, read: &dyn Fn(&Path) -> Option<String>) -> Result<Self> {
        let mut source = Self::default();
        let folder = root.parent().unwrap_or(Path::new("")).to_owned();
        source.add_file(root.to_owned(), &folder, Vec::new(), None, read)?;
        Ok(source)
    }

    fn add_file(
        &mut self,
        file: PathBuf,
        folder: &Path,
        path: Vec<String>,
        parent: Option<usize>,
        read: &dyn Fn(&Path) -> Option<String>,
    ) -> Result<()> {
        let text = read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let parsed = syn::parse_file(&text).with_context(|| file.display().to_string())?;
        if is_test(&parsed.attrs) {
            return Ok(());
        }
        let module = Module {
            path,
            parent,
            home: self.modules.len(),
            file,
            items: Vec::new(),
        };
        self.add(module, folder, parsed.items, read)
    }

    /// Adds one module and all below it. `folder` is where its child files lie.
    fn add(
        &mut self,
        mut module: Module,
        folder: &Path,
        items: Vec<Item>,
        read: &dyn Fn(&Path) -> Option<String>,
    ) -> Result<()> {
        let at = self.modules.len();
        let (mods, items): (Vec<Item>, Vec<Item>) = items
            .into_iter()
            .filter(|item| !is_test(attributes(item)))
            .partition(|item| matches!(item, Item::Mod(_)));
        module.items = items;
        let (path, home, file) = (module.path.clone(), module.home, module.file.clone());
        self.modules.push(module);
        for item in mods {
            let Item::Mod(child) = item else { continue };
            let name = child.ident.to_string();
            let below = folder.join(&name);
            let path: Vec<String> = path.iter().chain([&name]).cloned().collect();
            if let Some((_, items)) = child.content {
                let module = Module {
                    path,
                    parent: Some(at),
                    home,
                    file: file.clone(),
                    items: Vec::new(),
                };
                self.add(module, &below, items, read)?;
            } else {
                let files = [folder.join(format!("{name}.rs")), below.join("mod.rs")];
                let found = files.iter().find(|file| read(file).is_some());
                let found = found
                    .with_context(|| format!("{}: no file of `mod {name}`", file.display()))?;
                self.add_file(found.clone(), &below, path, Some(at), read)?;
            }
        }
        Ok(())
    }
}

/// Whether something is built for tests alone, or is a test.
pub(crate) fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let path = attribute.path();
        let condition = attribute
            .meta
            .require_list()
            .map(|list| list.tokens.to_string());
        let of_tests = path.is_ident("cfg")
            && condition
                .is_ok_and(|condition| condition.contains("test") && !condition.contains("not"));
        of_tests
            || path
                .segments
                .last()
                .is_some_and(|last| last.ident == "test")
    })
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}
