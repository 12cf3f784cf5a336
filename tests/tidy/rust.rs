//! The structure of one Rust file: tokens with lines, functions with lengths, and what is compiled for tests only.
//!
//! Tokens are flat, delimiters included, so that a rule can look for a sequence wherever it stands, inside macros
//! too. Comments are no tokens; strings are one token each. Lines of code are lines that hold more than a comment.
//! Types are not resolved: a rule that would need to know what a name means belongs to clippy.

use std::ops::RangeInclusive;

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use syn::{
    Attribute, Block, ImplItemFn, Item, ItemFn, ItemMod, Meta, TraitItemFn, spanned::Spanned, visit::Visit,
};

/// One file's structure.
pub(crate) struct Rust {
    /// Every token, in order.
    pub(crate) tokens: Vec<Token>,
    /// Every function with a body.
    pub(crate) functions: Vec<Function>,
    /// Lines that are compiled for tests only.
    pub(crate) tests: Vec<RangeInclusive<usize>>,
    /// Modules in other files that are compiled for tests only.
    pub(crate) test_modules: Vec<String>,
    /// Whether the file only declares: modules, uses, constants, types without functions.
    pub(crate) only_declares: bool,
}

/// A token and its line.
pub(crate) struct Token {
    /// As written; a delimiter alone; a string literal whole.
    pub(crate) text: String,
    /// From 1.
    pub(crate) line: usize,
}

/// A function with a body.
pub(crate) struct Function {
    /// Its name.
    pub(crate) name: String,
    /// Where its name stands.
    pub(crate) line: usize,
    /// The lines between its braces.
    pub(crate) body: RangeInclusive<usize>,
    /// Its attributes, as written.
    pub(crate) attributes: String,
}

impl Rust {
    /// Parses `text`; the line and what the parser said otherwise.
    pub(crate) fn parse(text: &str) -> Result<Self, (usize, String)> {
        let failed = |error: &syn::Error| (error.span().start().line, error.to_string());
        let file = syn::parse_file(text).map_err(|error| failed(&error))?;
        let stream: TokenStream =
            text.parse().map_err(|error: proc_macro2::LexError| (1, error.to_string()))?;
        let mut tokens = Vec::new();
        flatten(stream, &mut tokens);
        let mut seen = Seen::default();
        seen.visit_file(&file);
        let only_declares = file.items.iter().all(|item| {
            matches!(item, Item::Mod(module) if module.content.is_none()) || matches!(item, Item::Use(_))
        });
        Ok(Self {
            tokens,
            functions: seen.functions,
            tests: seen.tests,
            test_modules: seen.modules,
            only_declares,
        })
    }
}

/// Whether a line of Rust holds more than a comment.
pub(crate) fn is_code(line: &str) -> bool {
    let line = line.trim_start();
    !line.is_empty() && !line.starts_with("//")
}

fn flatten(stream: TokenStream, tokens: &mut Vec<Token>) {
    for tree in stream {
        let line = tree.span().start().line;
        match tree {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::None => ("", ""),
                };
                tokens.push(Token { text: open.to_owned(), line });
                flatten(group.stream(), tokens);
                tokens.push(Token { text: close.to_owned(), line: group.span_close().start().line });
            }
            other => tokens.push(Token { text: other.to_string(), line }),
        }
    }
}

/// What the visitor collects.
#[derive(Default)]
struct Seen {
    functions: Vec<Function>,
    tests: Vec<RangeInclusive<usize>>,
    modules: Vec<String>,
}

impl Seen {
    fn function(
        &mut self,
        name: &syn::Ident,
        attributes: &[Attribute],
        body: &Block,
        whole: proc_macro2::Span,
    ) {
        if is_test(attributes) {
            self.tests.push(whole.start().line..=whole.end().line);
        }
        let (open, close) =
            (body.brace_token.span.open().start().line, body.brace_token.span.close().start().line);
        self.functions.push(Function {
            name: name.to_string(),
            line: name.span().start().line,
            body: open + 1..=close.saturating_sub(1),
            attributes: attributes.iter().map(text_of).collect(),
        });
    }
}

impl<'ast> Visit<'ast> for Seen {
    fn visit_item_fn(&mut self, item: &'ast ItemFn) {
        self.function(&item.sig.ident, &item.attrs, &item.block, item.span());
        syn::visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast ImplItemFn) {
        self.function(&item.sig.ident, &item.attrs, &item.block, item.span());
        syn::visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast TraitItemFn) {
        if let Some(body) = &item.default {
            self.function(&item.sig.ident, &item.attrs, body, item.span());
        }
        syn::visit::visit_trait_item_fn(self, item);
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        if is_test(&item.attrs) {
            match item.content {
                Some(_) => self.tests.push(item.span().start().line..=item.span().end().line),
                None => self.modules.push(item.ident.to_string()),
            }
        }
        syn::visit::visit_item_mod(self, item);
    }
}

/// `#[test]`, `#[tokio::test]`, `#[cfg(test)]` and the like.
fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let text = text_of(attribute);
        text == "test" || text.starts_with("tokio::test") || text.starts_with("cfg(test)")
    })
}

/// An attribute's contents without spaces outside of strings.
fn text_of(attribute: &Attribute) -> String {
    let names = attribute.path().segments.iter().map(|segment| segment.ident.to_string());
    let name = names.collect::<Vec<_>>().join("::");
    let Meta::List(list) = &attribute.meta else {
        return name;
    };
    let mut tokens = Vec::new();
    flatten(list.tokens.clone(), &mut tokens);
    format!("{name}({})", tokens.into_iter().map(|token| token.text).collect::<String>())
}
