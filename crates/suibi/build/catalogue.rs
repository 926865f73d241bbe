//! Catalogues of messages (Fluent, <https://projectfluent.org>) become types that know how to show themselves.
//!
//! `lang/en/list.ftl` and `lang/zh/list.ftl` become the module `list`, and the message
//!
//! ```text
//! waiting = { $notes ->
//!     [one] { $notes } note waits for the server
//!    *[other] { $notes } notes wait for the server
//! }
//! ```
//!
//! becomes `pub(crate) struct Waiting<A> { pub(crate) notes: A }`, whose `Display` writes the text in the language
//! of this run. So nothing is parsed when the program runs; a message or an argument that is not there does not
//! compile; one that nobody uses is dead code. What is checked here besides: each message is in both languages, and
//! both show the same arguments.
//!
//! Of Fluent this takes: texts, `{ $argument }`, `{ "literal" }`, and a choice by a number, with `[one]` (English
//! only), plain numbers and `*[other]`. Anything else is refused.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use fluent_syntax::ast::{Entry, Expression, InlineExpression, PatternElement, VariantKey};
use fluent_syntax::parser;
use fluent_syntax::unicode::unescape_unicode_to_string;

type Pattern<'a> = fluent_syntax::ast::Pattern<&'a str>;
type Problems = Vec<String>;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Language {
    English,
    Chinese,
}

/// The arguments of a message.
#[derive(Default)]
struct Arguments {
    /// Those that are shown.
    shown: BTreeSet<String>,
    /// Those by whose number something is chosen.
    counted: BTreeSet<String>,
}

/// The code of all modules. Files are names without extension and texts, sorted by name.
///
/// # Errors
///
/// What is wrong with the catalogues, one line for each problem.
pub(crate) fn code(
    english: &[(String, String)],
    chinese: &[(String, String)],
) -> Result<String, Problems> {
    let mut problems = Vec::new();
    let mut code = String::new();
    let others: BTreeMap<_, _> = chinese.iter().map(|(name, text)| (name, text)).collect();
    for (name, text) in english {
        match others.get(name) {
            Some(other) => match module(name, text, other) {
                Ok(module) => code.push_str(&module),
                Err(more) => problems.extend(more),
            },
            None => problems.push(format!("lang/zh/{name}.ftl is not there")),
        }
    }
    for (name, _) in chinese {
        if !english.iter().any(|(other, _)| other == name) {
            problems.push(format!("lang/en/{name}.ftl is not there"));
        }
    }
    if problems.is_empty() { Ok(code) } else { Err(problems) }
}

fn module(name: &str, english: &str, chinese: &str) -> Result<String, Problems> {
    let en = messages(english, &format!("lang/en/{name}.ftl"))?;
    let zh = messages(chinese, &format!("lang/zh/{name}.ftl"))?;
    let mut problems = Vec::new();
    let mut code = String::new();
    for (id, pattern) in &en {
        let Some(other) = zh.get(id) else {
            problems.push(format!("lang/zh/{name}.ftl lacks `{id}`"));
            continue;
        };
        match message(id, pattern, other) {
            Ok(message) => code.push_str(&message),
            Err(problem) => problems.push(format!("`{id}` of {name}.ftl: {problem}")),
        }
    }
    for id in zh.keys().filter(|id| !en.contains_key(*id)) {
        problems.push(format!("lang/en/{name}.ftl lacks `{id}`"));
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    Ok(format!(
        "/// `lang/en/{name}.ftl`, `lang/zh/{name}.ftl`.\npub(crate) mod {} {{\nuse std::fmt;\n{code}}}\n",
        name.replace('-', "_")
    ))
}

/// The messages of a file by their names.
fn messages<'a>(text: &'a str, file: &str) -> Result<BTreeMap<&'a str, Pattern<'a>>, Problems> {
    let resource = match parser::parse(text) {
        Ok(resource) => resource,
        Err((_, errors)) => {
            let line = |at: usize| text.get(..at).unwrap_or_default().lines().count().max(1);
            return Err(errors
                .iter()
                .map(|error| format!("{file}:{}: {error}", line(error.pos.start)))
                .collect());
        }
    };
    let mut messages = BTreeMap::new();
    let mut problems = Vec::new();
    for entry in resource.body {
        match entry {
            Entry::Message(message) => match message.value {
                Some(pattern) if message.attributes.is_empty() => {
                    if messages.insert(message.id.name, pattern).is_some() {
                        problems.push(format!("{file} has `{}` twice", message.id.name));
                    }
                }
                _ => problems.push(format!("{file}: `{}` is not a plain text", message.id.name)),
            },
            Entry::Term(term) => problems.push(format!("{file}: no terms: `-{}`", term.id.name)),
            Entry::Junk { content } => problems.push(format!("{file}: what is this: {content}")),
            Entry::Comment(_) | Entry::GroupComment(_) | Entry::ResourceComment(_) => {}
        }
    }
    if problems.is_empty() { Ok(messages) } else { Err(problems) }
}

/// The type of one message.
fn message(id: &str, english: &Pattern<'_>, chinese: &Pattern<'_>) -> Result<String, String> {
    let (mut en, mut zh) = (Arguments::default(), Arguments::default());
    let english = statements(english, Language::English, &mut en)?;
    let chinese = statements(chinese, Language::Chinese, &mut zh)?;
    if en.shown != zh.shown {
        let differ: Vec<_> = en.shown.symmetric_difference(&zh.shown).cloned().collect();
        return Err(format!("only one language shows {}", differ.join(", ")));
    }
    let counted: BTreeSet<_> = en.counted.union(&zh.counted).cloned().collect();
    let all: BTreeSet<_> = en.shown.union(&counted).cloned().collect();
    let parameters: Vec<String> = (0..all.len()).map(|at| format!("T{at}")).collect();
    let bounds: Vec<String> = all
        .iter()
        .zip(&parameters)
        .map(|(name, parameter)| match (en.shown.contains(name), counted.contains(name)) {
            (_, false) => format!("{parameter}: fmt::Display"),
            (true, true) => format!("{parameter}: fmt::Display + crate::lang::Number"),
            (false, true) => format!("{parameter}: crate::lang::Number"),
        })
        .collect();
    let fields: String = all
        .iter()
        .zip(&parameters)
        .map(|(name, parameter)| format!(" pub(crate) {}: {parameter},", field(name)))
        .collect();
    let name = type_name(id);
    let (generics, bounds) = match all.is_empty() {
        true => (String::new(), String::new()),
        false => (format!("<{}>", parameters.join(", ")), format!("<{}>", bounds.join(", "))),
    };
    let body = match all.is_empty() {
        true => ";".to_owned(),
        false => format!(" {{{fields} }}"),
    };
    Ok(format!(
        "/// `{id}`\npub(crate) struct {name}{generics}{body}\n\
         impl{bounds} fmt::Display for {name}{generics} {{\n\
         fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {{\n\
         match crate::lang::current() {{\n\
         crate::lang::Language::English => {{ {english} }}\n\
         crate::lang::Language::Chinese => {{ {chinese} }}\n\
         }}\nOk(())\n}}\n}}\n"
    ))
}

/// What writes a pattern.
fn statements(
    pattern: &Pattern<'_>,
    language: Language,
    arguments: &mut Arguments,
) -> Result<String, String> {
    let mut code = String::new();
    for element in &pattern.elements {
        match element {
            PatternElement::TextElement { value } => text(&mut code, value),
            PatternElement::Placeable { expression } => {
                code.push_str(&placeable(expression, language, arguments)?);
            }
        }
    }
    Ok(code)
}

fn text(code: &mut String, text: &str) {
    if !text.is_empty() {
        let _ = write!(code, "f.write_str({text:?})?; ");
    }
}

fn placeable(
    expression: &Expression<&str>,
    language: Language,
    arguments: &mut Arguments,
) -> Result<String, String> {
    let mut code = String::new();
    match expression {
        Expression::Inline(InlineExpression::VariableReference { id }) => {
            arguments.shown.insert(id.name.to_owned());
            let _ = write!(code, "write!(f, \"{{}}\", self.{})?; ", field(id.name));
        }
        Expression::Inline(InlineExpression::StringLiteral { value }) => {
            text(&mut code, &unescape_unicode_to_string(value));
        }
        Expression::Select { selector: InlineExpression::VariableReference { id }, variants } => {
            arguments.counted.insert(id.name.to_owned());
            let mut arms = String::new();
            let mut otherwise = None;
            for variant in variants {
                let written = statements(&variant.value, language, arguments)?;
                let number = match variant.key {
                    VariantKey::Identifier { name: "other" } if variant.default => {
                        otherwise = Some(written);
                        continue;
                    }
                    VariantKey::Identifier { name: "one" } if language == Language::English => "1",
                    VariantKey::NumberLiteral { value } if value.parse::<u64>().is_ok() => value,
                    VariantKey::Identifier { name } => return Err(format!("what is [{name}]?")),
                    VariantKey::NumberLiteral { value } => {
                        return Err(format!("what is [{value}]?"));
                    }
                };
                let _ = writeln!(arms, "{number} => {{ {written} }}");
            }
            let otherwise = otherwise.ok_or("a choice needs *[other]")?;
            let _ = write!(
                code,
                "match crate::lang::Number::number(&self.{}) {{\n{arms}_ => {{ {otherwise} }}\n}} ",
                field(id.name)
            );
        }
        _ => {
            return Err(
                "only { $argument }, { \"literal\" } and { $number -> … } are known".to_owned()
            );
        }
    }
    Ok(code)
}

/// `left-behind` as a field: `left_behind`.
fn field(name: &str) -> String {
    name.replace('-', "_")
}

/// `left-behind` as a type: `LeftBehind`.
fn type_name(id: &str) -> String {
    id.split(['-', '_'])
        .map(|word| {
            let mut letters = word.chars();
            letters.next().map_or(String::new(), |first| {
                first.to_uppercase().chain(letters).collect::<String>()
            })
        })
        .collect()
}
