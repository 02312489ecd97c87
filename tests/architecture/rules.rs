//! The rules of the house, each a function from files to complaints, over the tables that say what the rules are about.
//!
//! A complaint begins with the file and the line, so that an editor can jump there and an excuse can name it.

use super::source::{Source, words};

/// Who lives where. A file sees lower floors only; rooms on one floor do not see each other.
const FLOORS: &[(u8, &[&str])] = &[
    (7, &["main", "cli", "app", "config"]), // the one floor with an order: each sees those after it
    (6, &["http"]),
    (5, &["admission", "bridge"]),
    (4, &["budget", "ledger", "observe", "tools", "requests"]),
    (3, &["call"]),
    (2, &["carrier", "realtime"]),
    (1, &["audio", "page", "plain", "pricing"]),
    (0, &["units"]),
];

/// The floor whose rooms see the ones written after them.
const STAIRS: u8 = 7;

/// Beside the floors: a room, what it sees, and who sees it. Two sides that share code are wrong together.
const ASIDE: &[(&str, &[&str], &[&str])] = &[("sim", &["units", "audio"], &["cli"])];

/// Floors up to this one are pure: no runtime, no clock, no locks, no chance.
const PURE: u8 = 3;

/// What floors 0 to [`PURE`] may not name. With `::`, the path; without, the word.
const IMPURE: &[&str] = &[
    "tokio",
    "axum",
    "reqwest",
    "sqlx",
    "redis",
    "tungstenite",
    "tokio_tungstenite",
    "anyhow",
    "rand",
    "fastrand",
    "getrandom",
    "RandomState",
    "Instant",
    "SystemTime",
    "Mutex",
    "RwLock",
    "Condvar",
    "dashmap",
    "async",
    "await",
    "std::thread",
    "std::net",
    "std::fs",
    "std::env",
];

/// Where money and time are counted: no floats.
const EXACT: &[&str] = &["units", "pricing", "call"];

/// Folders in which one file is one carrier or one dialect, named by one line of `mod.rs` and nowhere else.
const REGISTRIES: &[&str] = &["carrier", "realtime"];

/// May name a carrier or a dialect: the settings are where a user chooses one.
const NAMERS: &[&str] = &["config"];

/// What an unfinished or silenced place looks like.
const UNFINISHED: &[&str] = &[
    "todo!",
    "unimplemented!",
    "dbg!",
    "#[ignore",
    "allow(dead_code",
];

/// A file that wants more holds two ideas.
pub const FILE_LINES: usize = 500;
/// A function that wants more does two things.
pub const FUNCTION_LINES: usize = 70;

/// What a rule is.
pub type Rule = fn(&[Source]) -> Vec<String>;

fn floor(room: &str) -> Option<u8> {
    FLOORS
        .iter()
        .find(|(_, rooms)| rooms.contains(&room))
        .map(|(floor, _)| *floor)
}

fn aside(
    room: &str,
) -> Option<&'static (
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
)> {
    ASIDE.iter().find(|(name, _, _)| *name == room)
}

/// A room that the tables do not know.
pub fn every_file_has_a_room(files: &[Source]) -> Vec<String> {
    let known = |room: &str| floor(room).is_some() || aside(room).is_some();
    let homeless = files
        .iter()
        .filter(|file| file.room().is_some_and(|room| !known(room)));
    homeless
        .map(|file| format!("{} is on no floor", file.path))
        .collect()
}

/// An import from the same floor, from higher up, or across to the simulators.
pub fn imports_go_down(files: &[Source]) -> Vec<String> {
    let mut complaints = Vec::new();
    for file in files {
        let Some(room) = file.room() else { continue };
        for (line, path) in file.paths() {
            let Some(seen) = path.first().filter(|seen| *seen != room) else {
                continue;
            };
            if let Some(reason) = why_not(room, seen) {
                complaints.push(format!("{}:{line} {room} sees {seen}: {reason}", file.path));
            }
        }
    }
    complaints
}

/// Why `room` may not see another room; `None` when it may.
fn why_not(room: &str, seen: &str) -> Option<&'static str> {
    if let Some((_, sees, _)) = aside(room) {
        return (!sees.contains(&seen)).then_some("it stands beside the house");
    }
    if let Some((_, _, seen_by)) = aside(seen) {
        return (!seen_by.contains(&room)).then_some("it stands beside the house");
    }
    let (Some(here), Some(there)) = (floor(room), floor(seen)) else {
        return Some("it is on no floor");
    };
    if here == STAIRS && there == STAIRS {
        let order = FLOORS[0].1;
        let step = |room| order.iter().position(|name| *name == room);
        return (step(room) > step(seen)).then_some("that is up the stairs");
    }
    match here.cmp(&there) {
        std::cmp::Ordering::Greater => None,
        std::cmp::Ordering::Equal => Some("they share a floor"),
        std::cmp::Ordering::Less => Some("it is higher up"),
    }
}

/// A runtime, a clock, a lock or chance on floors 0 to [`PURE`].
pub fn low_floors_are_pure(files: &[Source]) -> Vec<String> {
    let pure = |file: &&Source| {
        file.room()
            .and_then(floor)
            .is_some_and(|floor| floor <= PURE)
    };
    let named = files
        .iter()
        .filter(pure)
        .flat_map(|file| IMPURE.iter().map(move |word| (file, *word)));
    named
        .flat_map(|(file, word)| mentions(file, &file.shipped, word))
        .collect()
}

/// A float where money or time is counted.
pub fn money_and_time_are_whole_numbers(files: &[Source]) -> Vec<String> {
    let exact = files
        .iter()
        .filter(|file| file.room().is_some_and(|room| EXACT.contains(&room)));
    exact
        .flat_map(|file| ["f32", "f64"].map(|word| mentions(file, &file.shipped, word)))
        .flatten()
        .collect()
}

/// Complaints about each place in `code` that holds `phrase` as whole words.
fn mentions(file: &Source, code: &str, phrase: &str) -> Vec<String> {
    let first = words(phrase).next().map_or("", |(_, word)| word);
    let lead = phrase.find(first).unwrap_or(0);
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    words(code)
        .filter(|(_, word)| *word == first)
        .filter_map(|(at, _)| at.checked_sub(lead))
        .filter(|at| {
            code[*at..]
                .strip_prefix(phrase)
                .is_some_and(|rest| !rest.starts_with(is_part))
        })
        .map(|at| format!("{}:{} says {phrase}", file.path, file.line(at)))
        .collect()
}

/// A first line that is not the idea.
pub fn every_file_opens_with_its_idea(files: &[Source]) -> Vec<String> {
    let mute = files.iter().filter(|file| !file.raw.starts_with("//! "));
    mute.map(|file| format!("{}:1 does not open with its idea", file.path))
        .collect()
}

/// A carrier or dialect named anywhere but in its folder, or by more than `mod` and one line of the list.
pub fn a_dialect_is_named_by_one_line(files: &[Source]) -> Vec<String> {
    let dialects: Vec<(&str, &str)> = files
        .iter()
        .filter_map(|file| match file.module()[..] {
            [folder, name, ..] if REGISTRIES.contains(&folder) => Some((folder, name)),
            _ => None,
        })
        .collect();
    let mut complaints = Vec::new();
    for file in files {
        let room = file.room().unwrap_or_default();
        for (line, path) in file.paths() {
            let [folder, name, ..] = &path[..] else {
                continue;
            };
            let foreign = room != folder && !NAMERS.contains(&room);
            if foreign && dialects.contains(&(folder, name)) {
                complaints.push(format!("{}:{line} names {folder}::{name}", file.path));
            }
        }
    }
    for (folder, name) in dialects {
        let door = files
            .iter()
            .find(|file| file.path == format!("src/{folder}/mod.rs"));
        let Some(door) = door else { continue };
        let lines = |word: &str| {
            door.shipped
                .lines()
                .filter(|line| words(line).any(|(_, w)| w == word))
                .count()
        };
        // One `mod` line and one line in the list.
        if lines(name) > 2 {
            complaints.push(format!(
                "{} names {name} on {} lines",
                door.path,
                lines(name)
            ));
        }
    }
    complaints.sort();
    complaints.dedup();
    complaints
}

/// A file longer than [`FILE_LINES`].
pub fn files_are_short(files: &[Source]) -> Vec<String> {
    let long = files
        .iter()
        .map(|file| (file, file.raw.lines().count()))
        .filter(|(_, lines)| *lines > FILE_LINES);
    long.map(|(file, lines)| format!("{}:1 has {lines} lines", file.path))
        .collect()
}

/// A function longer than [`FUNCTION_LINES`], from its `fn` to its last brace.
pub fn functions_are_short(files: &[Source]) -> Vec<String> {
    let all = files.iter().flat_map(|file| {
        file.functions()
            .into_iter()
            .map(move |function| (file, function))
    });
    let long = all.filter(|(_, (_, _, lines))| *lines > FUNCTION_LINES);
    long.map(|(file, (line, name, lines))| format!("{}:{line} {name} has {lines} lines", file.path))
        .collect()
}

/// A mark of [`UNFINISHED`], tests included.
pub fn nothing_is_unfinished(files: &[Source]) -> Vec<String> {
    let marks = files
        .iter()
        .flat_map(|file| UNFINISHED.iter().map(move |mark| (file, *mark)));
    marks
        .flat_map(|(file, mark)| mentions_mark(file, mark))
        .collect()
}

/// As [`mentions`], for marks that end in a bang or begin with a bracket.
fn mentions_mark(file: &Source, mark: &str) -> Vec<String> {
    let found = file.code.match_indices(mark);
    let whole = found
        .filter(|(at, _)| !file.code[..*at].ends_with(|c: char| c.is_alphanumeric() || c == '_'));
    whole
        .map(|(at, _)| format!("{}:{} says {mark}", file.path, file.line(at)))
        .collect()
}
