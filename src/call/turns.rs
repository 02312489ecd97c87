//! Who may speak: when an answer is asked for, cancelled, or owed.
//!
//! One answer at a time. What the caller says, and what we tell the model, leaves an answer *owed*; it is asked for once nobody
//! speaks and none is open. An answer that the caller spoke over is *unwanted*: it stays open until it is reported, because it is
//! billed, but nothing more of it is played.

use crate::units::Id;
use std::collections::VecDeque;

/// An answer asked for and not yet reported.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Ours.
    pub nonce: u64,
    /// The provider's name for it, once it has begun.
    pub response: Option<Id>,
    /// Some sound of it has come.
    pub spoke: bool,
    /// Nothing more of it is to be played.
    pub unwanted: bool,
    /// The last words of the call.
    pub goodbye: bool,
}

/// Reported answers that are remembered by name.
const REMEMBERED: usize = 64;

/// The state of the conversation's floor.
#[derive(Clone, Debug, Default)]
pub struct Turns {
    answers: Vec<Answer>,
    /// The last answers that were reported: their numbers and names.
    reported: VecDeque<(u64, Id)>,
    next_nonce: u64,
    /// The caller is speaking.
    pub caller_speaks: bool,
    /// Something was said or told that wants an answer.
    pub owed: bool,
    /// Answers that failed in a row.
    pub failures: u32,
    /// Answers reported so far.
    pub count: u32,
}

impl Turns {
    /// A number never used before in this call.
    pub fn nonce(&mut self) -> u64 {
        self.next_nonce += 1;
        self.next_nonce
    }

    /// Whether an answer may be asked for now.
    pub fn is_free(&self) -> bool {
        !self.caller_speaks && !self.answers.iter().any(|answer| !answer.goodbye)
    }

    /// An answer was asked for.
    pub fn asked(&mut self, nonce: u64, goodbye: bool) {
        if !goodbye {
            self.owed = false;
        }
        let answer = Answer {
            nonce,
            response: None,
            spoke: false,
            unwanted: false,
            goodbye,
        };
        self.answers.push(answer);
    }

    /// A response began under this nonce. `None`: the nonce is not one of the open ones.
    pub fn started(&mut self, nonce: u64, response: &Id) -> Option<&Answer> {
        let answer = self
            .answers
            .iter_mut()
            .find(|answer| answer.nonce == nonce)?;
        answer.response = Some(response.clone());
        Some(answer)
    }

    /// The open answer that this response gives.
    pub fn of(&mut self, response: &Id) -> Option<&mut Answer> {
        self.answers
            .iter_mut()
            .find(|answer| answer.response.as_ref() == Some(response))
    }

    /// The open answer in the conversation.
    pub fn open(&mut self) -> Option<&mut Answer> {
        self.answers.iter_mut().find(|answer| !answer.goodbye)
    }

    /// The nonce of the answer that this response gives, or gave.
    pub fn nonce_of(&self, response: &Id) -> Option<u64> {
        let gives = |answer: &&Answer| answer.response.as_ref() == Some(response);
        let open = self.answers.iter().find(gives).map(|answer| answer.nonce);
        let mut reported = self.reported.iter().filter(|(_, name)| name == response);
        open.or_else(|| reported.next_back().map(|(nonce, _)| *nonce))
    }

    /// Whether the answer asked for under this nonce has begun.
    pub fn has_begun(&self, nonce: u64) -> bool {
        let same = |answer: &Answer| answer.nonce == nonce && answer.response.is_some();
        self.answers.iter().any(same)
    }

    /// An answer asked for under this nonce was reported under this name.
    pub fn was_reported(&mut self, nonce: u64, response: &Id) {
        if self.reported.len() == REMEMBERED {
            self.reported.pop_front();
        }
        self.reported.push_back((nonce, response.clone()));
    }

    /// Whether this is an answer of its own under a number that another has, or had: nobody asked for two.
    pub fn is_second(&self, nonce: u64, response: &Id) -> bool {
        let open = self.answers.iter();
        let open = open.filter_map(|answer| Some((answer.nonce, answer.response.as_ref()?)));
        let reported = self.reported.iter().map(|(nonce, name)| (*nonce, name));
        let mut names = open.chain(reported).filter(|(known, _)| *known == nonce);
        !response.as_str().is_empty() && names.any(|(_, name)| name != response)
    }

    /// Whether this nonce was ever used.
    pub fn is_ours(&self, nonce: u64) -> bool {
        (1..=self.next_nonce).contains(&nonce)
    }

    /// Whether some of the goodbye has come, while it is open.
    pub fn goodbye_spoke(&self) -> bool {
        self.answers
            .iter()
            .any(|answer| answer.goodbye && answer.spoke)
    }

    /// An answer is over.
    pub fn closed(&mut self, nonce: u64) -> Option<Answer> {
        let place = self
            .answers
            .iter()
            .position(|answer| answer.nonce == nonce)?;
        Some(self.answers.swap_remove(place))
    }

    /// Whether an answer is open.
    pub fn is_answering(&self) -> bool {
        !self.answers.is_empty()
    }

    /// Whether an answer is open that somebody still wants to hear.
    pub fn wants_to_speak(&self) -> bool {
        self.answers.iter().any(|answer| !answer.unwanted)
    }

    /// The session is gone, and with it every answer. Tells whether one was wanted, and whether some of it had come.
    pub fn session_lost(&mut self) -> (bool, bool) {
        let mut wanted = self.answers.iter().filter(|answer| !answer.unwanted);
        let lost = wanted.next().map(|answer| answer.spoke);
        self.answers.clear();
        self.caller_speaks &= lost.is_none();
        (lost.is_some(), lost == Some(true))
    }

    /// Nothing more of what is open is wanted.
    pub fn abandon(&mut self) {
        self.owed = false;
        for answer in &mut self.answers {
            answer.unwanted = true;
        }
    }
}
