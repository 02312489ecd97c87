//! Files and environment become typed settings, or a list of everything that is wrong with them.
//!
//! Three layers lie over one another: built-in defaults, the file, and variables named `RINGFENCE__SECTION__KEY`. All of
//! it is read before any port opens, and every mistake is reported at once, each with the place where it was made, for a
//! server that starts with half of its settings understood is a server whose cap may not be the one that was written.
//! Secrets come from the environment or from a file that a `*_file` key names, never from the settings themselves.

mod agent;
mod books;
mod carrier;
mod model;
mod outside;
mod section;
mod server;
#[cfg(test)]
mod tests;
mod tools;
mod tree;

pub use crate::observe::log::Format as LogFormat;
pub use books::{BooksSettings, load_books};
pub use carrier::{USUAL_MINUTE, USUAL_RATES, host};
pub use model::{USUAL_CONTEXT_TOKENS, USUAL_TRANSCRIPTION};
pub use section::nearest;

use crate::admission::{Agent, Limits};
use crate::budget;
use crate::ledger;
use crate::ledger::reconcile::CallRates;
use crate::pricing::{Outbound, PriceBook};
use crate::units::Secret;
use outside::Outside;
use section::{Findings, Section};
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tree::{Node, PREFIX, Place, Table, Value};

/// Where the settings are when nobody says.
pub const DEFAULT_FILE: &str = "config/ringfence.toml";

/// Everything the server must know, checked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The port to open.
    pub listen: SocketAddr,
    /// How carriers reach us, without a slash at the end.
    pub public_url: String,
    /// How logs look.
    pub log: LogFormat,
    /// What a minute of a connection costs, without the media stream.
    pub rates: CallRates,
    /// The carriers we answer, by their names in [`crate::carrier::CARRIERS`].
    pub carriers: Vec<(&'static str, crate::carrier::Settings)>,
    /// What calls that go out cost.
    pub outbound: Outbound,
    /// Who answers a number while this server cannot be reached.
    pub fallback_url: Option<String>,
    /// Who answers; no two share a number.
    pub agents: Vec<Arc<Agent>>,
    /// What models may have done outside their calls.
    pub tools: crate::tools::Settings,
    /// How much may go on at once.
    pub limits: Limits,
    /// What all calls together may cost.
    pub budget: budget::Settings,
    /// Where what calls cost is written down.
    pub ledger: ledger::Settings,
    /// What opens the doors that are not the carriers'; `None`: one is made at start.
    pub admin_token: Option<Secret>,
    /// How long frames may wait for those of other calls, when there are many.
    pub batching: Duration,
    /// The prices everything above was computed with.
    pub prices: PriceBook,
    /// The file the settings were read from; `None`: the environment alone.
    pub file: Option<String>,
    /// What works and is probably not meant.
    pub warnings: Vec<String>,
}

/// Something that must be mended before the server starts. Never quotes a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Where it was made: `config/ringfence.toml:12 [agent.front-desk.cap] spend.end`, or the name of a variable.
    pub place: String,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub fix: String,
}

/// One paragraph.
impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n  {}\n  -> {}", self.place, self.what, self.fix)
    }
}

/// The environment of this process, as far as it is text.
pub fn environment() -> Vec<(String, String)> {
    let pairs = std::env::vars_os();
    let text = pairs.filter_map(|(name, value)| {
        let name = name.into_string().ok()?;
        Some((name, value.into_string().ok()?))
    });
    text.collect()
}

/// Reads the settings: `path` or else [`DEFAULT_FILE`] if it is there, and `environment` over it.
///
/// # Errors
/// Every mistake that could be found, in the order of reading.
pub fn load(
    path: Option<&Path>,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Settings, Vec<Mistake>> {
    let variables: BTreeMap<String, String> = environment.into_iter().collect();
    let file = opened(path, &variables)?;
    let file = file.as_ref();
    read(
        file.map(|(name, text)| (name.as_str(), text.as_str())),
        variables,
    )
}

/// The file's name and its text; `None`: there is none, and variables stand in for it.
fn opened(
    path: Option<&Path>,
    variables: &BTreeMap<String, String>,
) -> Result<Option<(String, String)>, Vec<Mistake>> {
    let fallback = Path::new(DEFAULT_FILE);
    let path = path.or_else(|| fallback.is_file().then_some(fallback));
    let Some(path) = path else {
        if variables.keys().any(|name| name.starts_with(PREFIX)) {
            return Ok(None);
        }
        return Err(vec![Mistake {
            place: DEFAULT_FILE.to_string(),
            what: "there is no such file here, and no variable sets anything either".to_string(),
            fix: format!(
                "name a file with --config, or set variables such as {PREFIX}SERVER__PUBLIC_URL"
            ),
        }]);
    };
    let name = path.display().to_string();
    let text = outside::read_file(path, outside::LARGEST_FILE).map_err(|why| {
        vec![Mistake {
            place: name.clone(),
            what: why,
            fix: "name another file with --config, or mend this one".to_string(),
        }]
    })?;
    Ok(Some((name, text)))
}

/// Reads settings from a text instead of a file; `name` is what mistakes call it.
///
/// # Errors
/// Every mistake that could be found, in the order of reading.
pub fn parse(
    name: &str,
    text: &str,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Settings, Vec<Mistake>> {
    read(Some((name, text)), environment.into_iter().collect())
}

/// Reads settings from the text of a file and from variables.
fn read(
    file: Option<(&str, &str)>,
    variables: BTreeMap<String, String>,
) -> Result<Settings, Vec<Mistake>> {
    let mut root = match file {
        Some((name, text)) => tree::from_file(name, text).map_err(|mistake| vec![mistake])?,
        None => Node {
            place: Place::Nowhere,
            value: Value::Table(Table::new()),
        },
    };
    let findings = Findings::default();
    findings
        .mistakes
        .borrow_mut()
        .extend(tree::overlay(&mut root, &variables));
    let outside = Outside {
        variables: &variables,
        findings: &findings,
    };
    let settings = assemble(
        &Section::root(&root, &findings),
        &outside,
        file.map(|f| f.0),
    );
    let mut mistakes = Vec::new();
    for mistake in findings.mistakes.take() {
        // Two models with one missing key are one thing to mend.
        if !mistakes.contains(&mistake) {
            mistakes.push(mistake);
        }
    }
    match settings {
        Some(mut settings) if mistakes.is_empty() => {
            settings.warnings = findings.warnings.take();
            Ok(settings)
        }
        _ => Err(mistakes),
    }
}

/// Reads every section, whatever is wrong with the others. `None` only where a mistake was noted.
fn assemble(root: &Section<'_>, outside: &Outside<'_>, file: Option<&str>) -> Option<Settings> {
    let server = server::server(&root.section("server"), outside);
    let log = server::log(root.section("log"));
    let carriers = root.section("carrier");
    let listens_here_only = server.listen.ip().is_loopback();
    let line = carrier::twilio(&carriers, &server.public_url, listens_here_only, outside);
    carriers.finish();
    let prices = server::prices(root.section("prices"), outside);
    let models = model::models(root, &prices, outside);
    let budget = server::budget(root.section("budget"));
    let tools = tools::tools(root, outside);
    let agents = agent::agents(root, &models, &line, &budget, &tools);
    let limits = server::limits(root.section("limits"));
    let ledger = server::ledger(&root.section("ledger"));
    root.finish();
    Some(Settings {
        rates: carrier::rates(&carriers),
        listen: server.listen,
        public_url: server.public_url,
        log,
        outbound: line.outbound,
        fallback_url: line.fallback_url,
        carriers: vec![("twilio", line.settings?)],
        agents,
        tools,
        limits,
        budget,
        ledger,
        admin_token: server.admin_token,
        batching: server.batching,
        prices,
        file: file.map(str::to_string),
        warnings: Vec::new(),
    })
}
