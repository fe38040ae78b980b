//! Puts elements together out of what the parser finds, within the limits.

use compact_str::CompactString;
use rxml::{NcName, RawEvent};

use super::scope::Scope;
use super::{Attribute, Element, Limits, Namespace, Node, StreamCondition, StreamError, limits};
use crate::ns;

/// What is complete with an event.
#[derive(Debug)]
pub(super) enum Whole {
    /// The head of the outermost element, which goes on; in streams only.
    Head(Element),
    /// A child of the outermost element in a stream, else the outermost element itself.
    Element(Element),
    /// The outermost element of a stream has ended.
    End,
}

/// The elements that have begun and not ended, from the outermost to the innermost.
#[derive(Debug)]
pub(super) struct Tree {
    /// Is the outermost element a stream, whose children are wanted one by one?
    stream: bool,
    open: Vec<Open>,
    scope: Scope,
    /// The start tag under way.
    head: Option<Head>,
    /// Elements and texts since the last that was complete.
    nodes: usize,
}

#[derive(Debug)]
struct Open {
    element: Element,
    /// The scope around it.
    mark: usize,
}

/// A start tag, of whose names it is not known yet what they mean: declarations may follow.
#[derive(Debug)]
struct Head {
    prefix: Option<CompactString>,
    local: CompactString,
    attributes: Vec<(Option<CompactString>, CompactString, CompactString)>,
    declarations: Vec<(CompactString, Namespace)>,
}

fn policy(text: &'static str) -> StreamError {
    StreamError::new(StreamCondition::PolicyViolation, text)
}

fn not_well_formed(text: &'static str) -> StreamError {
    StreamError::new(StreamCondition::NotWellFormed, text)
}

impl Tree {
    pub(super) fn new(stream: bool) -> Self {
        Self {
            stream,
            open: Vec::new(),
            scope: Scope::default(),
            head: None,
            nodes: 0,
        }
    }

    pub(super) fn event(
        &mut self,
        event: RawEvent,
        limits: &Limits,
    ) -> Result<Option<Whole>, StreamError> {
        match event {
            RawEvent::XmlDeclaration(..) => Ok(None),
            RawEvent::ElementHeadOpen(_, (prefix, local)) => {
                self.begin(prefix, local, limits).map(|()| None)
            }
            RawEvent::Attribute(_, (prefix, local), value) => self
                .attribute(prefix, local, value.into(), limits)
                .map(|()| None),
            RawEvent::ElementHeadClose(_) => self.head_ends(limits),
            RawEvent::Text(_, text) => self.text(text.into(), limits).map(|()| None),
            RawEvent::ElementFoot(_) => Ok(self.end()),
        }
    }

    fn count(&mut self, limits: &Limits) -> Result<(), StreamError> {
        self.nodes += 1;
        if self.nodes > limits.nodes {
            return Err(policy("too many elements"));
        }
        Ok(())
    }

    fn begin(
        &mut self,
        prefix: Option<NcName>,
        local: NcName,
        limits: &Limits,
    ) -> Result<(), StreamError> {
        self.count(limits)?;
        let depth = self.open.len() + usize::from(!self.stream);
        if depth > limits.depth.min(limits::DEEPEST) {
            return Err(policy("elements nested too deep"));
        }
        self.head = Some(Head {
            prefix: prefix.map(NcName::into_inner),
            local: local.into_inner(),
            attributes: Vec::new(),
            declarations: Vec::new(),
        });
        Ok(())
    }

    fn attribute(
        &mut self,
        prefix: Option<NcName>,
        local: NcName,
        value: CompactString,
        limits: &Limits,
    ) -> Result<(), StreamError> {
        let Some(head) = &mut self.head else {
            return Err(not_well_formed("an attribute outside of a start tag"));
        };
        if head.attributes.len() + head.declarations.len() >= limits.attributes {
            return Err(policy("too many attributes"));
        }
        let (prefix, local) = (prefix.map(NcName::into_inner), local.into_inner());
        match prefix.as_deref() {
            None if local == "xmlns" => head.declare(CompactString::default(), &value),
            Some("xmlns") => head.declare(local, &value),
            _ => {
                head.attributes.push((prefix, local, value));
                Ok(())
            }
        }
    }

    /// The start tag is complete, so it can be said what its names mean.
    fn head_ends(&mut self, limits: &Limits) -> Result<Option<Whole>, StreamError> {
        let Some(head) = self.head.take() else {
            return Err(not_well_formed("the end of a start tag that never began"));
        };
        let mark = self.scope.mark();
        self.scope.open(&head.declarations, limits)?;
        let namespace = match &head.prefix {
            None => self.scope.default_namespace(),
            Some(prefix) => self.scope.prefix(prefix)?,
        };
        let mut attributes: Vec<Attribute> = Vec::with_capacity(head.attributes.len());
        for (prefix, local, value) in head.attributes {
            let qualified = match prefix {
                None => None,
                Some(prefix) => Some((prefix.clone(), self.scope.prefix(&prefix)?)),
            };
            let attribute = Attribute::of(qualified, local, value);
            if attributes
                .iter()
                .any(|row| row.is(attribute.namespace(), attribute.local()))
            {
                return Err(not_well_formed("an attribute stands twice in one element"));
            }
            attributes.push(attribute);
        }
        let element = Element {
            namespace,
            prefix: head.prefix,
            local: head.local,
            attributes,
            declarations: head.declarations,
            nodes: Vec::new(),
        };
        let outermost = self.open.is_empty();
        if self.stream && outermost {
            self.nodes = 0;
            // Of the header, only what its prefixes mean is needed as long as the stream is open.
            let open = Element {
                declarations: element.declarations.clone(),
                ..Element::new(ns::NONE, "")
            };
            self.open.push(Open {
                element: open,
                mark,
            });
            return Ok(Some(Whole::Head(element)));
        }
        self.open.push(Open { element, mark });
        Ok(None)
    }

    fn text(&mut self, text: CompactString, limits: &Limits) -> Result<(), StreamError> {
        if self.stream && self.open.len() == 1 {
            let text = "text between first-level elements";
            return Err(StreamError::new(StreamCondition::BadFormat, text));
        }
        let Some(open) = self.open.last_mut() else {
            return Err(not_well_formed("text outside of any element"));
        };
        if let Some(Node::Text(before)) = open.element.nodes.last_mut() {
            before.push_str(&text);
        } else {
            open.element.nodes.push(Node::Text(text));
            self.count(limits)?;
        }
        Ok(())
    }

    fn end(&mut self) -> Option<Whole> {
        let Open { mut element, mark } = self.open.pop()?;
        self.scope.close(mark);
        match self.open.as_mut_slice() {
            [] if self.stream => Some(Whole::End),
            [] => Some(Whole::Element(element)),
            [stream] if self.stream => {
                keep_prefixes_of_header(&mut element, &stream.element);
                self.nodes = 0;
                Some(Whole::Element(element))
            }
            [.., around] => {
                around.element.nodes.push(Node::Element(element));
                None
            }
        }
    }
}

impl Head {
    fn declare(&mut self, prefix: CompactString, namespace: &str) -> Result<(), StreamError> {
        // The parser sees to `xml`, and to prefixes that are declared to be nothing.
        if prefix == "xmlns" || namespace == ns::XMLNS {
            return Err(not_well_formed("the prefix xmlns cannot be declared"));
        }
        if self.declarations.iter().any(|row| row.0 == prefix) {
            return Err(not_well_formed("a prefix is declared twice in one element"));
        }
        if prefix != "xml" {
            let namespace = Namespace::new(namespace);
            self.declarations.push((prefix, namespace));
        }
        Ok(())
    }
}

/// Declares on a first-level element what the stream header declared and a value or text of it mentions: names are
/// declared where they are written, but what values mean only their readers know (RFC 6120 §4.8.5).
fn keep_prefixes_of_header(element: &mut Element, header: &Element) {
    let rows = header.declarations.iter();
    let rows = rows.filter(|(prefix, namespace)| !prefix.is_empty() && *namespace != ns::STREAM);
    for (prefix, namespace) in rows {
        let declared = element.declarations.iter().any(|row| row.0 == *prefix);
        if !declared && mentions(element, &format!("{prefix}:")) {
            let row = (prefix.clone(), namespace.clone());
            element.declarations.push(row);
        }
    }
}

fn mentions(element: &Element, prefix: &str) -> bool {
    let mut rows = element.attributes.iter();
    rows.any(|row| row.value().contains(prefix))
        || element.nodes.iter().any(|node| match node {
            Node::Text(text) => text.contains(prefix),
            Node::Element(child) => mentions(child, prefix),
        })
}
