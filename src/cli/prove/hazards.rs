//! What a call may meet: models that misbehave and callers who do, by name.
//!
//! A hazard that keeps the assumptions of the cap (`docs/money.md`) may cost a caller patience, and never a cent more than the cap.
//! One that breaks an assumption cannot be held to that: of it we want to know how soon it is seen, and how dear it was.

/// How a caller behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Waits for the answer and replies; now and then cuts in.
    Converses,
    /// "Yes… no… hm": short sounds with short pauses, whoever is speaking.
    Murmurs,
    /// A minute or more without a pause.
    Monologue,
    /// Begins to speak whenever the agent does.
    TalksOver,
    /// Says nothing at all.
    Silent,
}

/// All manners, for callers who may have any.
pub const MANNERS: [Manner; 5] = [
    Manner::Converses,
    Manner::Murmurs,
    Manner::Monologue,
    Manner::TalksOver,
    Manner::Silent,
];

/// One hazard.
#[derive(Clone, Copy, Debug)]
pub struct Hazard {
    /// What `--scenario` calls it.
    pub name: &'static str,
    /// The model's manners, in the simulator's words; `{}` is a number drawn for each call, 20,000 at the most.
    pub model: &'static str,
    /// The caller's; `None`: any.
    pub caller: Option<Manner>,
    /// Whether the caller always hangs up at a moment drawn for each call; others do so now and then.
    pub hangs_up: bool,
    /// Whether the budget above the call may be smaller than its cap.
    pub poor: bool,
    /// Whether many such calls go on at once, each with a model and a caller of its own, on budgets too small for all of them.
    pub crowd: bool,
    /// Whether it breaks an assumption of the cap.
    pub breaks: bool,
}

const fn model(name: &'static str, model: &'static str) -> Hazard {
    Hazard {
        name,
        model,
        caller: None,
        hangs_up: false,
        poor: false,
        crowd: false,
        breaks: false,
    }
}

const fn caller(name: &'static str, manner: Manner) -> Hazard {
    Hazard {
        caller: Some(manner),
        ..model(name, "limit=answer-to-limit")
    }
}

const fn broken(name: &'static str, words: &'static str) -> Hazard {
    Hazard {
        breaks: true,
        ..model(name, words)
    }
}

/// Every hazard, those that keep the assumptions first.
pub const HAZARDS: &[Hazard] = &[
    Hazard {
        caller: Some(Manner::Converses),
        ..model("honest", "honest")
    },
    model("any-caller", "honest"),
    model("answers-to-limit", "limit=answer-to-limit"),
    model("usage-late", "usage=late:{}ms"),
    model("usage-twice", "usage=twice"),
    model("usage-never", "usage=never"),
    model("usage-missing", "usage=missing"),
    model("vad-storm", "vad=storm"),
    model("vad-storm-to-limit", "vad=storm limit=answer-to-limit"),
    model("acks-late", "acks=late:{}ms"),
    model("acks-never", "acks=never"),
    model("deletes-late", "deletes=late:{}ms"),
    model("deletes-never", "deletes=never"),
    model("deletes-refused", "deletes=refused"),
    model("inserts-refused", "inserts=refused"),
    model(
        "heavy-deletes-late",
        "heavy deletes=late:{}ms limit=answer-to-limit",
    ),
    model("slow", "latency={}ms speed=1x"),
    model("slower-than-speech", "speed=0.4x"),
    model("drops", "drop=at:{}ms"),
    model("drops-mid-delta", "drop=mid-delta"),
    model("expires", "expire={}ms"),
    model("update-ignored", "update=ignored"),
    model("update-rejected", "update=rejected"),
    model("update-differs", "update=differs"),
    model("goodbye-silent", "goodbye=silent"),
    model("goodbye-fails", "goodbye=fails"),
    model("transcription-late", "transcription=late:{}ms"),
    model("transcription-failed", "transcription=failed"),
    model("transcription-missing", "transcription=missing"),
    model("server-error", "fail=server_error"),
    model("no-quota", "fail=insufficient_quota"),
    model("unknown-events", "unknown-events"),
    model(
        "everything-late",
        "usage=late:{}ms acks=late:3s transcription=late:9s limit=answer-to-limit",
    ),
    model("heavy", "heavy"),
    model("heavy-to-limit", "heavy limit=answer-to-limit"),
    model("heavy-storm", "heavy vad=storm limit=answer-to-limit"),
    model("heavy-late", "heavy usage=late:{}ms acks=late:{}ms"),
    model("heavy-drops", "heavy drop=at:{}ms limit=answer-to-limit"),
    model(
        "heavy-unreported",
        "heavy usage=missing transcription=missing",
    ),
    caller("yes-no-hm", Manner::Murmurs),
    caller("monologue", Manner::Monologue),
    caller("talks-over", Manner::TalksOver),
    caller("silence", Manner::Silent),
    Hazard {
        hangs_up: true,
        ..model("hangs-up", "limit=answer-to-limit")
    },
    Hazard {
        poor: true,
        ..model("small-budget", "honest")
    },
    Hazard {
        crowd: true,
        ..model("crowd", "honest")
    },
    broken("self-answer", "self-answer"),
    broken("overrun", "overrun answer=60s"),
    broken("usage-shrunk", "usage=shrunk"),
];

/// Manners with which a goodbye of the model may come late, or never.
const UNSERVING: [&str; 9] = [
    "latency=",
    "speed=",
    "drop=",
    "expire=",
    "update=",
    "goodbye=",
    "fail=",
    "usage=never",
    "usage=late",
];

impl Hazard {
    /// Whether its model says goodbye when it is asked to.
    pub fn serves_goodbyes(&self) -> bool {
        !self.crowd && !self.breaks && !UNSERVING.iter().any(|word| self.model.contains(word))
    }
}

/// The hazard of this name.
pub fn find(name: &str) -> Option<&'static Hazard> {
    HAZARDS.iter().find(|hazard| hazard.name == name)
}
