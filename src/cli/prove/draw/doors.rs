//! What becomes of attempts to reach a model, drawn by lot: sessions that are lost, servers that are busy, keys that are refused.

use crate::cli::prove::hazards::Doors;
use crate::cli::prove::stage::{Dialled, Manners};
use crate::sim::dice::Dice;
use crate::sim::model::{Lost, Setup};

/// Attempts that are drawn for each model; those that follow end as the last one did.
const ATTEMPTS: usize = 12;

/// The oldest that a session grows that is lost at a moment of its own, in milliseconds.
const OLDEST_MS: u64 = 18_000;

/// "Going away", which is also what the provider says of a session that is too old; and "internal error".
const CODES: [u16; 2] = [1001, 1011];

/// What becomes of each model's attempts, one after the other. `setups`: how each model behaves while it is there.
pub fn draw(doors: Doors, setups: Vec<Setup>, dice: &mut Dice) -> Vec<Vec<Dialled>> {
    let lost = |setup: &Setup, dice: &mut Dice| {
        let mut manners = patient(setup, dice);
        loses(&mut manners, dice);
        Dialled::Session(Box::new(manners))
    };
    let stays = |setup: &Setup, dice: &mut Dice| Dialled::Session(Box::new(patient(setup, dice)));
    let each = setups.iter().enumerate();
    each.map(|(number, setup)| match (doors, number) {
        (Doors::Open, _) => vec![Dialled::at_once(setup.clone())],
        (Doors::Fickle, _) => (0..ATTEMPTS).map(|_| fickle(setup, dice)).collect(),
        (Doors::Busy, 0) => {
            let mut fates = vec![lost(setup, dice)];
            for _ in 0..dice.up_to(6) {
                fates.push(Dialled::Status(503));
            }
            fates.push(stays(setup, dice));
            fates
        }
        (Doors::FirstRefuses, 0) | (Doors::SecondRefuses, 1) => vec![Dialled::Status(401)],
        (Doors::SecondRefuses, _) => vec![lost(setup, dice), Dialled::Status(503)],
        (Doors::Dead, _) | (Doors::Deserted, 1..) => vec![Dialled::Silence],
        (Doors::Deserted, 0) => vec![lost(setup, dice), Dialled::Silence],
        (Doors::Mute, 0) => {
            let mut manners = patient(setup, dice);
            manners.mute_ms = Some(dice.up_to(OLDEST_MS));
            vec![Dialled::Session(Box::new(manners)), stays(setup, dice)]
        }
        (Doors::Aging, _) => (0..ATTEMPTS)
            .map(|_| {
                let mut manners = patient(setup, dice);
                manners.setup.behaviour.expire_ms = 10_000 + dice.up_to(50_000);
                Dialled::Session(Box::new(manners))
            })
            .collect(),
        (Doors::Busy | Doors::FirstRefuses | Doors::Mute, _) => vec![stays(setup, dice)],
    })
    .collect()
}

/// A session that takes a moment to open.
fn patient(setup: &Setup, dice: &mut Dice) -> Manners {
    Manners {
        setup: setup.clone(),
        after_ms: dice.up_to(800),
        mute_ms: None,
        close_code: None,
    }
}

fn fickle(setup: &Setup, dice: &mut Dice) -> Dialled {
    match dice.up_to(19) {
        0 | 1 => Dialled::Status(503),
        2 => Dialled::Nobody,
        3 => Dialled::Silence,
        4 if dice.up_to(3) == 0 => Dialled::Status(401),
        _ => {
            let mut manners = patient(setup, dice);
            if dice.up_to(9) > 0 {
                loses(&mut manners, dice);
            }
            Dialled::Session(Box::new(manners))
        }
    }
}

/// The session is lost, somehow, at some moment.
fn loses(manners: &mut Manners, dice: &mut Dice) {
    let at_ms = dice.up_to(OLDEST_MS) >> dice.up_to(2);
    let behaviour = &mut manners.setup.behaviour;
    match dice.up_to(5) {
        0 => manners.mute_ms = Some(at_ms),
        1 => behaviour.expire_ms = at_ms,
        2 => behaviour.lost = Some(Lost::MidDelta),
        kind => {
            behaviour.lost = Some(Lost::At(at_ms));
            let kind = usize::try_from(kind - 3).unwrap_or(0);
            manners.close_code = CODES.get(kind).copied();
        }
    }
}
