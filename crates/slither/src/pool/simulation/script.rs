//! How a call goes in a simulated worker, step by step: with all that can go wrong.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use serde::de::IgnoredAny;

use super::dice::Dice;
use super::objects;
use crate::codec;
use crate::error::Death;
use crate::pool::supervisor::Epoch;
use crate::pool::worker::CallId;
use crate::wire::{self, Kind};

type Inside = (IgnoredAny, IgnoredAny, IgnoredAny, Option<String>, IgnoredAny, IgnoredAny);

/// What the worker does next with the frame that it has read.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Step {
    Hello,
    Begin,
    Yield(usize),
    /// A yield that the protocol forbids.
    Overflow,
    Answer,
    /// With one result more than there are items.
    AnswerTooMany,
    /// With some items failed alone.
    AnswerSome,
    Raise(&'static str),
    /// Done with it.
    Rest,
    Refuse,
    Garbage,
    Close {
        cut: bool,
    },
    Die(Death),
    /// Does nothing ever again.
    Hang,
}

/// How a call goes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Fate {
    Good,
    Raises,
    AsksAgain,
    FailsSome,
    TooMany,
    Garbage,
    Refuses,
    DiesBefore,
    DiesWhile,
    DiesAnswering,
    DiesAfter,
    Hangs,
    HangsBefore,
    Slow,
    Closes,
    CutsOff,
    Overflows,
}

pub(super) const FATES: [(u64, Fate); 16] = [
    (6, Fate::Raises),
    (3, Fate::AsksAgain),
    (4, Fate::FailsSome),
    (2, Fate::TooMany),
    (2, Fate::Garbage),
    (1, Fate::Refuses),
    (5, Fate::DiesBefore),
    (6, Fate::DiesWhile),
    (4, Fate::DiesAnswering),
    (4, Fate::DiesAfter),
    (3, Fate::Hangs),
    (2, Fate::HangsBefore),
    (3, Fate::Slow),
    (1, Fate::Closes),
    (1, Fate::CutsOff),
    (2, Fate::Overflows),
];

/// The frame being worked on.
#[derive(Debug, Clone)]
pub(super) struct Work {
    pub(super) id: CallId,
    pub(super) kind: u8,
    pub(super) items: Vec<u64>,
    pub(super) session: Option<String>,
    /// What a single call calls.
    pub(super) function: String,
    /// The object whose method that is: the epoch of its worker, and its number there.
    pub(super) object: Option<(Epoch, u64)>,
    pub(super) yielded: usize,
    pub(super) streams: bool,
}

/// Ids of imports that keepers send on their own are below this.
pub(super) const FIRST: CallId = 1 << 32;

/// An id as it is read best.
pub(super) fn short(id: CallId) -> CallId {
    id % FIRST
}

fn id_of(frame: &[u8]) -> CallId {
    CallId::from_le_bytes(frame[8..16].try_into().expect("eight bytes"))
}

pub(super) fn is_call(kind: u8) -> bool {
    [Kind::Call, Kind::Execute, Kind::OpenSession, Kind::EndSession].iter().any(|call| *call as u8 == kind)
}

pub(super) fn parse(frame: &[u8]) -> Work {
    let (kind, flags, id) = (frame[4], frame[5], id_of(frame));
    let mut work = Work {
        id,
        kind,
        items: Vec::new(),
        session: None,
        function: String::new(),
        object: None,
        yielded: 0,
        streams: flags & wire::STREAM != 0,
    };
    let mut body = &frame[16..];
    let inside = |body: &mut &[u8]| -> Option<String> {
        codec::decode_prefix::<Option<Inside>>(body).expect("a context").and_then(|inside| inside.3)
    };
    if kind == Kind::Call as u8 {
        rmp::decode::read_array_len(&mut body).expect("an array");
        codec::decode_prefix::<IgnoredAny>(&mut body).expect("a name");
        work.session = inside(&mut body);
        work.items = codec::decode(body).expect("items");
    } else if kind == Kind::Execute as u8 {
        rmp::decode::read_array_len(&mut body).expect("an array");
        work.function = codec::decode_prefix(&mut body).expect("a name");
        work.session = inside(&mut body);
        work.object = (work.function == objects::INVOKE).then(|| objects::first(body));
    } else if kind == Kind::KeepRefs as u8 || kind == Kind::DropRefs as u8 {
        work.items = codec::decode(body).expect("numbers");
    } else if kind == Kind::OpenSession as u8 || kind == Kind::EndSession as u8 {
        work.session = inside(&mut body);
    }
    work
}

/// The steps of a call with that fate.
pub(super) fn plan(
    fate: Fate,
    at: Instant,
    takes: Duration,
    work: &Work,
    dice: &mut Dice,
) -> VecDeque<(Instant, Step)> {
    let end = at + takes;
    let mut steps = VecDeque::new();
    let killed = *dice.pick(&[Death::Signal(9), Death::Signal(11), Death::Code(0), Death::Code(1)]);
    match fate {
        Fate::Refuses => return [(at, Step::Refuse), (at, Step::Rest)].into(),
        Fate::DiesBefore => return [(at, Step::Die(killed))].into(),
        Fate::HangsBefore => return [(at, Step::Hang)].into(),
        _ => steps.push_back((at, Step::Begin)),
    }
    if work.streams {
        let mut left = work.items.len() - usize::from(fate == Fate::TooMany);
        while left > 0 && dice.permille(600) {
            let count = dice.size(1, left);
            left -= count;
            steps.push_back((at + dice.millis(0, takes.as_millis() as u64), Step::Yield(count)));
        }
        // In the order of time.
        let mut last = at;
        for (when, _) in &mut steps {
            last = last.max(*when);
            *when = last.min(end);
        }
    }
    let last = match fate {
        Fate::Good => vec![Step::Answer, Step::Rest],
        Fate::Raises => vec![Step::Raise("exception"), Step::Rest],
        Fate::AsksAgain => vec![Step::Raise("retry"), Step::Rest],
        Fate::FailsSome => vec![Step::AnswerSome, Step::Rest],
        Fate::TooMany => vec![Step::AnswerTooMany, Step::Rest],
        Fate::Garbage => vec![Step::Garbage, Step::Rest],
        Fate::DiesWhile => vec![Step::Die(killed)],
        Fate::DiesAnswering => vec![Step::Answer, Step::Die(killed)],
        Fate::DiesAfter => vec![Step::Answer, Step::Rest, Step::Die(killed)],
        Fate::Hangs => vec![Step::Hang],
        Fate::Slow => {
            let late = end + dice.millis(0, 300);
            steps.extend([(late, Step::Answer), (late, Step::Rest)]);
            return steps;
        }
        Fate::Closes => vec![Step::Close { cut: false }],
        Fate::CutsOff => vec![Step::Close { cut: true }],
        Fate::Overflows => vec![Step::Overflow, Step::Rest],
        Fate::Refuses | Fate::DiesBefore | Fate::HangsBefore => Vec::new(),
    };
    steps.extend(last.into_iter().map(|step| (end, step)));
    steps
}
