//! What a call may meet: models that misbehave and callers who do, by name.
//!
//! A hazard that keeps the assumptions of the cap (`docs/money.md`) may cost a caller patience, and never a cent more than the cap.
//! One that breaks an assumption cannot be held to that: of it we want to know how soon it is seen, and how dear it was.

use super::stage::Listens;

/// What becomes of attempts to reach a model, and of the sessions that come of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Doors {
    /// A session each time, with the manners that the hazard says.
    #[default]
    Open,
    /// Anything: no session, or one that is lost in any way at any moment.
    Fickle,
    /// The first session is lost; then the server is busy for a while.
    Busy,
    /// The first model turns us away, from the first attempt on.
    FirstRefuses,
    /// The first model's only session is lost, and the second one turns us away.
    SecondRefuses,
    /// The first session falls silent, and stays open.
    Mute,
    /// The first session is lost, and nobody ever answers again.
    Deserted,
    /// Nobody ever answers at all: neither a word nor a refusal.
    Dead,
    /// Sessions last from ten seconds to a minute.
    Aging,
}

/// What a model may do besides talking.
#[derive(Clone, Copy, Debug, Default)]
pub struct May {
    /// Call functions, some of which take a price, press keys and end the call.
    pub call: bool,
    /// Hand the caller over to somebody else.
    pub transfer: bool,
    /// At the edge of the budget, whoever that is takes the caller over.
    pub fall_back: bool,
}

const CALLS: May = May {
    call: true,
    transfer: false,
    fall_back: false,
};

const TRANSFERS: May = May {
    transfer: true,
    ..CALLS
};

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
    /// The manners of a second model, as those of the first; `None`: there is only one.
    pub backup: Option<&'static str>,
    /// What becomes of attempts to reach a model.
    pub doors: Doors,
    /// What the model may do besides talking.
    pub may: May,
    /// What an ear of our own is good for.
    pub ear: Listens,
    /// Whether calls last long enough for a session to grow old.
    pub long: bool,
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
        backup: None,
        doors: Doors::Open,
        may: May {
            call: false,
            transfer: false,
            fall_back: false,
        },
        ear: Listens::Not,
        long: false,
    }
}

const fn doors(name: &'static str, doors: Doors) -> Hazard {
    Hazard {
        doors,
        backup: Some("honest"),
        ..model(name, "honest")
    }
}

const fn may(name: &'static str, model_words: &'static str, may: May) -> Hazard {
    Hazard {
        may,
        caller: Some(Manner::Converses),
        ..model(name, model_words)
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
    doors("lost-anyhow", Doors::Fickle),
    Hazard {
        backup: None,
        ..doors("lost-alone", Doors::Fickle)
    },
    Hazard {
        poor: true,
        backup: Some("heavy limit=answer-to-limit"),
        ..doors("lost-and-poor", Doors::Fickle)
    },
    Hazard {
        long: true,
        ..doors("lost-often", Doors::Fickle)
    },
    doors("busy-at-redial", Doors::Busy),
    doors("first-refuses", Doors::FirstRefuses),
    doors("second-refuses", Doors::SecondRefuses),
    doors("falls-silent", Doors::Mute),
    doors("deserted", Doors::Deserted),
    doors("nobody-answers", Doors::Dead),
    Hazard {
        long: true,
        backup: None,
        ..doors("short-sessions", Doors::Aging)
    },
    Hazard {
        long: true,
        doors: Doors::Aging,
        ..model("short-sessions-heavy", "heavy limit=answer-to-limit")
    },
    Hazard {
        backup: Some("honest"),
        ..model("cheaper", "limit=answer-to-limit")
    },
    Hazard {
        backup: Some("drop=at:{}ms limit=answer-to-limit"),
        ..model("cheaper-dies", "limit=answer-to-limit")
    },
    may(
        "tools",
        "tool@1=look_up tool@2=look_up tool@2=order tool@3=unknown",
        CALLS,
    ),
    Hazard {
        caller: None,
        ..may("tool-loop", "tool-loop=look_up", CALLS)
    },
    may(
        "tool-loop-speaks",
        "tool-loop=order tool-speech limit=answer-to-limit",
        CALLS,
    ),
    may(
        "tool-loop-heavy",
        "heavy tool-loop=look_up usage=late:{}ms",
        CALLS,
    ),
    may(
        "presses-keys",
        "tool@1=send_digits:{\"digits\":\"12*9#\"}",
        CALLS,
    ),
    may("ends-itself", "tool@2=end_call tool-speech", CALLS),
    may("ends-at-once", "tool@1=end_call", CALLS),
    Hazard {
        backup: Some("honest"),
        doors: Doors::Fickle,
        ..may("tools-and-losses", "tool-loop=look_up tool-speech", CALLS)
    },
    may(
        "transfers",
        "tool@2=transfer:{\"to\":\"desk\"} tool-speech",
        TRANSFERS,
    ),
    may(
        "transfers-silently",
        "tool@1=transfer:{\"to\":\"desk\"}",
        TRANSFERS,
    ),
    Hazard {
        poor: true,
        ..may(
            "transfers-poor",
            "tool@1=transfer:{\"to\":\"desk\"} tool-speech",
            TRANSFERS,
        )
    },
    may(
        "transfers-at-the-edge",
        "limit=answer-to-limit",
        May {
            fall_back: true,
            ..TRANSFERS
        },
    ),
    Hazard {
        doors: Doors::Fickle,
        backup: Some("honest"),
        ..may(
            "transfers-and-losses",
            "tool@2=transfer:{\"to\":\"desk\"}",
            TRANSFERS,
        )
    },
    Hazard {
        ear: Listens::Mostly,
        ..model("confirms", "limit=answer-to-limit")
    },
    Hazard {
        ear: Listens::Holds,
        ..model("holds", "limit=answer-to-limit")
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
        let stays = self.doors == Doors::Open && self.backup.is_none() && !self.may.transfer;
        !self.crowd
            && !self.breaks
            && stays
            && !UNSERVING.iter().any(|word| self.model.contains(word))
    }

    /// Whether it can be met without a stage: it takes no more than the manners of models and of a caller.
    pub fn is_for_sockets(&self) -> bool {
        let May { call, transfer, .. } = self.may;
        let plain = self.doors == Doors::Open && self.ear == Listens::Not && !self.long;
        !self.crowd && plain && !call && !transfer
    }
}

/// The hazard of this name.
pub fn find(name: &str) -> Option<&'static Hazard> {
    HAZARDS.iter().find(|hazard| hazard.name == name)
}
