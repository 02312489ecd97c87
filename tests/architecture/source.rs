//! A Rust file as the architecture sees it: what the compiler would read, with prose and quotations taken out.
//!
//! A rule that searched the raw text would be tripped by a comment that explains the rule. So comments and the insides
//! of strings become spaces, byte for byte, and every line keeps its number. This is no parser: it knows just enough
//! of the grammar (nested comments, raw strings, lifetimes, braces) to answer the few questions the rules ask.

use std::path::Path;

/// One file of the project.
pub struct Source {
    /// Its path below the project's root, with forward slashes.
    pub path: String,
    /// The text as written.
    pub raw: String,
    /// The text without comments and without the insides of strings.
    pub code: String,
    /// [`Source::code`] without the items marked `#[cfg(test)]`.
    pub shipped: String,
}

impl Source {
    /// Takes a file apart.
    pub fn new(path: &str, raw: &str) -> Source {
        let code = without_prose(raw);
        let shipped = without_tests(&code);
        Source {
            path: path.to_owned(),
            raw: raw.to_owned(),
            code,
            shipped,
        }
    }

    /// Every `.rs` file below `folder` of the project, in the order of their paths.
    pub fn all(folder: &str) -> Vec<Source> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut folders = vec![root.join(folder)];
        let mut found = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).expect("the folder can be read") {
                let path = entry.expect("the entry can be read").path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    let below = path
                        .strip_prefix(root)
                        .expect("below the root")
                        .to_string_lossy()
                        .replace('\\', "/");
                    found.push(Source::new(
                        &below,
                        &std::fs::read_to_string(&path).expect("a file of text"),
                    ));
                }
            }
        }
        found.sort_by(|a, b| a.path.cmp(&b.path));
        found
    }

    /// The module this file is: `src/carrier/twilio.rs` is `carrier`, `twilio`; `src/lib.rs` is nothing at all.
    pub fn module(&self) -> Vec<&str> {
        let below = self.path.strip_prefix("src/").unwrap_or(&self.path);
        let mut module: Vec<&str> = below
            .strip_suffix(".rs")
            .unwrap_or(below)
            .split('/')
            .collect();
        if matches!(module.last(), Some(&"mod" | &"lib")) {
            module.pop();
        }
        module
    }

    /// The room this file is part of; `None` for `lib.rs`, which is the map.
    pub fn room(&self) -> Option<&str> {
        self.module().first().copied()
    }

    /// Every path of the shipped code that starts at the crate's root: where it stands, and its segments.
    ///
    /// `crate::`, `$crate::`, `ringfence::` and enough `super::` lead there; groups in a `use` are multiplied out.
    pub fn paths(&self) -> Vec<(usize, Vec<String>)> {
        let mut found = Vec::new();
        for (at, word) in words(&self.shipped) {
            if self.shipped[..at].ends_with("::")
                || !self.shipped[at + word.len()..].starts_with("::")
            {
                continue;
            }
            match word {
                "crate" | "ringfence" => {
                    multiply(&self.shipped[at + word.len()..], &[], &mut |path| {
                        found.push((self.line(at), path));
                    })
                }
                "super" => {
                    let supers = self.shipped[at..]
                        .split("::")
                        .take_while(|part| *part == "super")
                        .count();
                    let module = self.module();
                    let Some(kept) = module.len().checked_sub(supers) else {
                        continue;
                    };
                    let base: Vec<String> = module[..kept]
                        .iter()
                        .map(|part| (*part).to_owned())
                        .collect();
                    let rest = &self.shipped[at + supers * "super::".len() - "::".len()..];
                    multiply(rest, &base, &mut |path| found.push((self.line(at), path)));
                }
                _ => {}
            }
        }
        found
    }

    /// Every function with a body: the line it starts on, its name, how many lines it takes.
    pub fn functions(&self) -> Vec<(usize, &str, usize)> {
        let mut found = Vec::new();
        let mut words = words(&self.code).peekable();
        while let Some((at, word)) = words.next() {
            let Some(&(name_at, name)) = words.peek() else {
                break;
            };
            if word != "fn" || self.code[at + word.len()..name_at].trim() != "" {
                continue; // not a function, or the type of one: `fn(u8)`
            }
            let Some(end) = item_end(&self.code, name_at) else {
                continue;
            };
            if self.code[..end].ends_with('}') {
                found.push((self.line(at), name, self.line(end - 1) - self.line(at) + 1));
            }
        }
        found
    }

    /// The number of the line that holds this byte, from one.
    pub fn line(&self, at: usize) -> usize {
        self.raw.as_bytes()[..at]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count()
            + 1
    }
}

/// Words, in the sense of identifiers and keywords, and where they begin.
pub fn words(code: &str) -> impl Iterator<Item = (usize, &str)> {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    code.split(move |c: char| !is_part(c))
        .filter(|word| !word.is_empty())
        .map(move |word| (word.as_ptr() as usize - code.as_ptr() as usize, word))
}

/// Follows `::a::{b, c::d}` from `rest`, and hands each whole path to `found`.
fn multiply(rest: &str, base: &[String], found: &mut dyn FnMut(Vec<String>)) {
    let Some(next) = rest.trim_start().strip_prefix("::").map(str::trim_start) else {
        return found(base.to_vec());
    };
    if let Some(group) = next.strip_prefix('{') {
        let mut depth = 0_usize;
        let mut start = 0;
        for (at, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                ',' | '}' if depth == 0 => {
                    let member = group[start..at].trim();
                    if !member.is_empty() {
                        multiply(&format!("::{member}"), base, found);
                    }
                    start = at + 1;
                    if c == '}' {
                        return;
                    }
                }
                '}' => depth -= 1,
                _ => {}
            }
        }
        return;
    }
    match words(next).next() {
        Some((0, segment)) => {
            let mut path = base.to_vec();
            if segment != "self" {
                path.push(segment.to_owned());
            }
            multiply(&next[segment.len()..], &path, found);
        }
        _ => found(base.to_vec()), // a glob, or the `::<` of a generic
    }
}

/// Where the item that begins at `from` ends: after its `;` or its closing brace.
fn item_end(code: &str, from: usize) -> Option<usize> {
    let mut depth = 0_i32;
    for (at, c) in code[from..].char_indices() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' => depth -= 1,
            '}' => {
                depth -= 1;
                if depth == 0 {
                    return Some(from + at + 1);
                }
            }
            ';' if depth == 0 => return Some(from + at + 1),
            _ => {}
        }
    }
    None
}

/// Blanks the items that are compiled for tests only.
fn without_tests(code: &str) -> String {
    const MARK: &str = "#[cfg(test)]";
    let mut kept = code.to_owned();
    while let Some(at) = kept.find(MARK) {
        let end = item_end(&kept, at + MARK.len()).unwrap_or(kept.len());
        blank(&mut kept, at, end);
    }
    kept
}

/// Replaces everything but line ends with spaces.
fn blank(text: &mut String, from: usize, to: usize) {
    let spaces: String = text[from..to]
        .bytes()
        .map(|byte| if byte == b'\n' { '\n' } else { ' ' })
        .collect();
    text.replace_range(from..to, &spaces);
}

/// Blanks comments, and what stands between the quotes of strings and characters.
fn without_prose(raw: &str) -> String {
    let mut code = raw.to_owned();
    let mut at = 0;
    while at < raw.len() {
        let rest = &raw[at..];
        let in_word = raw[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let (skip, length) = if rest.starts_with("//") {
            (0, rest.find('\n').unwrap_or(rest.len()))
        } else if rest.starts_with("/*") {
            (0, comment(rest))
        } else if let Some(hashes) = raw_string(rest).filter(|_| !in_word) {
            let open = rest.find('"').unwrap_or(0) + 1;
            let close = format!("\"{}", "#".repeat(hashes));
            (open, rest[open..].find(&close).unwrap_or(rest.len() - open))
        } else if let Some(inside) = rest.strip_prefix('"') {
            (1, quoted(inside, '"'))
        } else if let Some(length) = character(rest) {
            (1, length)
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
            continue;
        };
        blank(&mut code, at + skip, at + skip + length);
        at += skip + length + usize::from(skip > 0); // past the closing quote
    }
    code
}

/// The length of a block comment, with the comments inside it.
fn comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if rest[at..].starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return at;
            }
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    at
}

/// How many hashes guard the raw string that begins here, if one does.
fn raw_string(rest: &str) -> Option<usize> {
    let rest = rest
        .strip_prefix(['b', 'c'])
        .unwrap_or(rest)
        .strip_prefix('r')?;
    let hashes = rest.len() - rest.trim_start_matches('#').len();
    rest[hashes..].starts_with('"').then_some(hashes)
}

/// The length of a quotation up to its unescaped closing quote.
fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at,
            _ => {}
        }
    }
    rest.len()
}

/// The length of what stands in a character literal; `None` for a lifetime.
fn character(rest: &str) -> Option<usize> {
    let inside = rest.strip_prefix('\'')?;
    let first = inside.chars().next()?;
    if first == '\\' {
        return Some(quoted(inside, '\''));
    }
    inside[first.len_utf8()..]
        .starts_with('\'')
        .then_some(first.len_utf8())
}
