//! What a picture shows, before anybody decides how: moments, mail between them, and periods.
//!
//! A moment is a step of one process, with all that came of it, or something that happens to the
//! whole world. Moments are put into rows as tightly as "happened before" allows: two steps may stand
//! side by side if neither can have caused the other and no outside event lies between them. A
//! broadcast to four then takes two rows and not five, which is what makes sixty messages readable.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use quorate_core::{Frame, NodeId, Status};
use quorate_sim::trace::{Loss, MailId, What};

use super::Recording;
use super::words::{self, Label};

/// What a picture shows.
#[derive(Clone, Debug)]
pub struct Diagram {
    /// What it is called.
    pub title: String,
    /// What the protocol's paper calls an epoch.
    pub epoch: String,
    /// Who takes part, from left to right.
    pub processes: Vec<NodeId>,
    /// What every process was before the first moment.
    pub before: Vec<Life>,
    /// What happened, oldest first.
    pub moments: Vec<Moment>,
    /// All mail, in the order of sending.
    pub mail: Vec<Mail>,
    /// How many rows the moments take.
    pub rows: usize,
}

/// Something that happened, at one place or to the whole world.
#[derive(Clone, Debug)]
pub struct Moment {
    /// The row in which it stands.
    pub row: usize,
    /// What.
    pub what: Happening,
}

/// What can happen.
#[derive(Clone, PartialEq, Debug)]
pub enum Happening {
    /// One process does something.
    Step(Step),
    /// The author remarks.
    Note(String),
    /// Links are cut or joined: this holds from now on.
    Parted(Parting),
    /// The author skips a part of the story.
    Skipped,
    /// Somebody sends mail, an index into the diagram's, in the name of another.
    Forged(usize),
    /// A promise is broken.
    Violated(String),
}

/// One step of one process.
#[derive(Clone, PartialEq, Debug)]
pub struct Step {
    /// Whose: an index into the processes.
    pub process: usize,
    /// What caused it and what came of it, in order.
    pub marks: Vec<Mark>,
    /// What the process is afterwards.
    pub after: Life,
}

/// One thing about a step. Mail is an index into the diagram's mail.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Mark {
    /// It starts, for the n-th time.
    Started(u64),
    /// It stops; so many unfinished frames survive.
    Crashed(usize),
    /// Somebody asks for something.
    Requested(String),
    /// A timer runs out.
    Fired(String),
    /// Mail arrives.
    Received(usize),
    /// The disk has finished through this frame.
    Synced(Frame),
    /// Records go to the disk.
    Wrote(Frame, String),
    /// Mail waits for this frame.
    Held(Frame, usize),
    /// Its own mail to itself has passed the disk.
    Counted(usize),
    /// Mail leaves.
    Sent(usize),
    /// It tells the layer above something; the switch marks decisions.
    Output(String, bool),
    /// Its role or epoch changes to what the step's end shows.
    Became,
}

/// What a process is at a moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Life {
    /// It does not run.
    Down,
    /// It runs.
    Up(Status),
}

/// Which links are cut.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Parting {
    /// Sender and receiver, as indices into the processes.
    pub cut: BTreeSet<(usize, usize)>,
    /// The same in words; empty if nothing is cut.
    pub text: String,
}

/// A piece of mail.
#[derive(Clone, PartialEq, Debug)]
pub struct Mail {
    /// Who sent it.
    pub from: usize,
    /// Who is to get it; `None` if it is nobody in the picture.
    pub to: Option<usize>,
    /// The name of the message, and what tells it from others.
    pub kind: String,
    /// What tells it from others of its kind, if that is short.
    pub detail: Option<String>,
    /// The whole message.
    pub text: String,
    /// The moment in which it was written, if that is in the picture.
    pub written: Option<usize>,
    /// The moment in which it left: later, if it was held. `None` if that is not in the picture, or
    /// has not happened.
    pub left: Option<usize>,
    /// Whether it is a copy that the network made.
    pub copy: bool,
    /// Whether its sender never sent it.
    pub forged: bool,
    /// How it ended.
    pub end: End,
}

/// How mail ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// It still waits for the disk, or went down with its sender.
    Held,
    /// It is under way.
    UnderWay,
    /// It arrived in this moment.
    Received(usize),
    /// It was lost, after this many moments had happened.
    Lost(usize, Loss),
    /// It arrived, or got lost, where the story was skipped.
    Skipped,
}

impl Diagram {
    /// Finds out what a recording shows.
    #[must_use]
    pub fn of(recording: &Recording) -> Diagram {
        let mut builder = Builder::new(recording);
        for (at, event) in recording.trace.events.iter().enumerate() {
            builder.remark(recording, at);
            builder.quiet = recording.quiet.iter().any(|range| range.contains(&at));
            builder.event(&event.what);
        }
        builder.remark(recording, recording.trace.events.len());
        let mut diagram = builder.diagram;
        super::places::assign_rows(&mut diagram);
        diagram
    }

    /// What a process is called, if it is in the picture.
    pub(super) fn name(&self, process: Option<usize>) -> String {
        match process {
            Some(process) => self.processes[process].to_string(),
            None => "nobody".to_string(),
        }
    }
}

struct Builder {
    diagram: Diagram,
    places: BTreeMap<NodeId, usize>,
    lives: Vec<Life>,
    mail: BTreeMap<MailId, usize>,
    /// Mail that its sender never sent.
    forged: BTreeSet<MailId>,
    /// Mail that waits for the disk, per process, oldest first.
    held: Vec<VecDeque<(Frame, usize)>>,
    cut: BTreeSet<(usize, usize)>,
    quiet: bool,
    /// Whether the last moment may still grow.
    open: bool,
}

impl Builder {
    fn new(recording: &Recording) -> Builder {
        let processes = recording.members.clone();
        let size = processes.len();
        let places = processes.iter().enumerate().map(|(at, &id)| (id, at));
        Builder {
            places: places.collect(),
            lives: vec![Life::Down; size],
            mail: BTreeMap::new(),
            forged: BTreeSet::new(),
            held: vec![VecDeque::new(); size],
            cut: BTreeSet::new(),
            quiet: false,
            open: false,
            diagram: Diagram {
                title: recording.title.clone(),
                epoch: match recording.epoch.as_str() {
                    "" => "epoch".to_string(),
                    epoch => epoch.to_string(),
                },
                processes,
                before: vec![Life::Down; size],
                moments: Vec::new(),
                mail: Vec::new(),
                rows: 0,
            },
        }
    }

    fn remark(&mut self, recording: &Recording, at: usize) {
        for note in recording.notes.iter().filter(|note| note.at == at) {
            self.quiet = false;
            self.world(Happening::Note(note.text.clone()));
        }
    }

    /// Something happens to the whole world.
    fn world(&mut self, what: Happening) {
        self.open = false;
        self.diagram.moments.push(Moment { row: 0, what });
    }

    /// A step begins.
    fn begin(&mut self, process: usize, mark: Mark) {
        if self.skip() {
            return;
        }
        let step = Step {
            process,
            marks: vec![mark],
            after: self.lives[process],
        };
        self.world(Happening::Step(step));
        self.open = true;
    }

    /// Something comes of the step before, if that was a step of this process.
    fn add(&mut self, process: usize, mark: Mark) {
        let life = self.lives[process];
        match self.diagram.moments.last_mut() {
            Some(Moment {
                what: Happening::Step(step),
                ..
            }) if self.open && !self.quiet && step.process == process => {
                step.marks.push(mark);
                step.after = life;
            }
            _ => self.begin(process, mark),
        }
    }

    /// Whether this part is skipped; the picture then says so once.
    fn skip(&mut self) -> bool {
        if !self.quiet {
            return false;
        }
        let mut shown = self.diagram.moments.iter().rev();
        let last = shown.find(|moment| !matches!(moment.what, Happening::Note(_)));
        match last.map(|moment| &moment.what) {
            // What comes before the first step needs no mark: the story just begins later.
            None => self.diagram.before.clone_from(&self.lives),
            Some(Happening::Skipped) => {}
            Some(_) => self.world(Happening::Skipped),
        }
        true
    }

    /// The moment that is going on, if it is in the picture.
    fn now(&self) -> Option<usize> {
        match self.quiet {
            true => None,
            false => self.diagram.moments.len().checked_sub(1),
        }
    }

    fn event(&mut self, what: &What) {
        match what {
            What::Started { node, incarnation } => {
                let Some(process) = self.place(*node) else {
                    return;
                };
                let fresh = Status {
                    role: "",
                    epoch: 0,
                    leader: None,
                    head: 0,
                    decided: 0,
                    whole: true,
                    repaired: 0,
                };
                self.lives[process] = Life::Up(fresh);
                self.begin(process, Mark::Started(*incarnation));
            }
            What::Crashed { node, kept } => {
                let Some(process) = self.place(*node) else {
                    return;
                };
                self.lives[process] = Life::Down;
                self.held[process].clear();
                self.begin(process, Mark::Crashed(*kept));
            }
            What::Requested { node, text } => self.cause(*node, Mark::Requested(text.clone())),
            What::Fired { node, timer } => self.cause(*node, Mark::Fired(timer.clone())),
            What::Synced { node, frame } => self.synced(*node, *frame),
            What::Wrote { node, frame, text } => {
                let Some(process) = self.place(*node) else {
                    return;
                };
                self.add(process, Mark::Wrote(*frame, text.clone()));
            }
            What::Output {
                node,
                text,
                decision,
            } => {
                let Some(process) = self.place(*node) else {
                    return;
                };
                self.add(process, Mark::Output(text.clone(), *decision));
            }
            What::Became { node, status } => {
                let Some(process) = self.place(*node) else {
                    return;
                };
                self.lives[process] = Life::Up(*status);
                self.add(process, Mark::Became);
            }
            What::Cut { from, to } => self.cut(*from, *to),
            // The picture shows the mail itself, which follows.
            What::Forged { mail } => {
                self.forged.insert(*mail);
            }
            What::Healed => self.healed(),
            What::Violated { text } => {
                let violated = Happening::Violated(text.clone());
                // A promise stays broken, and worlds say so after every step.
                let mut moments = self.diagram.moments.iter();
                if !moments.any(|moment| moment.what == violated) {
                    self.quiet = false;
                    self.world(violated);
                }
            }
            What::Held { .. }
            | What::Sent { .. }
            | What::Copied { .. }
            | What::Received { .. }
            | What::Lost { .. } => self.mail(what),
        }
    }

    fn place(&self, node: NodeId) -> Option<usize> {
        self.places.get(&node).copied()
    }

    fn cause(&mut self, node: NodeId, mark: Mark) {
        if let Some(process) = self.place(node) {
            self.begin(process, mark);
        }
    }

    fn synced(&mut self, node: NodeId, frame: Frame) {
        let Some(process) = self.place(node) else {
            return;
        };
        self.begin(process, Mark::Synced(frame));
        // Its mail to itself does not travel: no other event says that it has passed.
        let (passed, rest): (VecDeque<_>, VecDeque<_>) =
            self.held[process].drain(..).partition(|(until, mail)| {
                *until <= frame && self.diagram.mail[*mail].to == Some(process)
            });
        self.held[process] = rest;
        for (_, mail) in passed {
            let now = self.now();
            self.diagram.mail[mail].left = now;
            self.diagram.mail[mail].end = now.map_or(End::Skipped, End::Received);
            self.add(process, Mark::Counted(mail));
        }
    }

    fn cut(&mut self, from: NodeId, to: NodeId) {
        let (Some(from), Some(to)) = (self.place(from), self.place(to)) else {
            return;
        };
        self.cut.insert((from, to));
        self.parted();
    }

    fn healed(&mut self) {
        if self.cut.is_empty() {
            return;
        }
        self.cut.clear();
        self.parted();
    }

    fn parted(&mut self) {
        let parting = Parting {
            text: words_of_cuts(&self.diagram.processes, &self.cut),
            cut: self.cut.clone(),
        };
        match self.diagram.moments.last_mut() {
            // Many links are cut at once.
            Some(Moment {
                what: Happening::Parted(last),
                ..
            }) if !last.cut.is_empty() && !parting.cut.is_empty() => *last = parting,
            _ => {
                self.world(Happening::Parted(parting));
            }
        }
    }

    fn mail(&mut self, what: &What) {
        match what {
            What::Held {
                node,
                to,
                until,
                kind,
            } => self.hold(*node, *to, *until, kind),
            What::Sent {
                mail,
                from,
                to,
                kind,
                text,
            } => self.send(*mail, *from, *to, kind, text),
            What::Copied { mail, copy } => {
                if let Some(&original) = self.mail.get(mail) {
                    let copied = Mail {
                        copy: true,
                        end: End::UnderWay,
                        ..self.diagram.mail[original].clone()
                    };
                    self.mail.insert(*copy, self.diagram.mail.len());
                    self.diagram.mail.push(copied);
                }
            }
            What::Received { mail, node } => {
                let Some(process) = self.place(*node) else {
                    return;
                };
                let Some(&mail) = self.mail.get(mail) else {
                    return;
                };
                self.begin(process, Mark::Received(mail));
                self.diagram.mail[mail].end = self.now().map_or(End::Skipped, End::Received);
            }
            What::Lost { mail, why } => {
                let Some(&mail) = self.mail.get(mail) else {
                    return;
                };
                self.diagram.mail[mail].end = match self.quiet {
                    true => End::Skipped,
                    false => End::Lost(self.diagram.moments.len(), *why),
                };
            }
            _ => {}
        }
    }

    fn hold(&mut self, node: NodeId, to: NodeId, until: Frame, kind: &str) {
        let Some(process) = self.place(node) else {
            return;
        };
        let mail = self.diagram.mail.len();
        self.add(process, Mark::Held(until, mail));
        self.diagram.mail.push(Mail {
            from: process,
            to: self.place(to),
            kind: kind.to_string(),
            detail: None,
            text: kind.to_string(),
            written: self.now(),
            left: None,
            copy: false,
            forged: false,
            end: End::Held,
        });
        self.held[process].push_back((until, mail));
    }

    fn send(&mut self, id: MailId, from: NodeId, to: NodeId, kind: &str, text: &str) {
        let Some(process) = self.place(from) else {
            return;
        };
        let to = self.place(to);
        let Label { kind, detail } = words::label(kind, text);
        if self.forged.contains(&id) {
            let mail = self.diagram.mail.len();
            if !self.skip() {
                self.world(Happening::Forged(mail));
            }
            self.mail.insert(id, mail);
            self.diagram.mail.push(Mail {
                from: process,
                to,
                kind,
                detail,
                text: text.to_string(),
                written: self.now(),
                left: self.now(),
                copy: false,
                forged: true,
                end: End::UnderWay,
            });
            return;
        }
        let mail = &self.diagram.mail;
        // The gate is a queue, so the oldest that fits is the one.
        let waited = self.held[process]
            .iter()
            .position(|&(_, held)| mail[held].to == to && mail[held].kind == kind)
            .and_then(|at| self.held[process].remove(at));
        let at = waited.map_or(self.diagram.mail.len(), |(_, mail)| mail);
        self.add(process, Mark::Sent(at));
        let now = self.now();
        if waited.is_none() {
            self.diagram.mail.push(Mail {
                from: process,
                to,
                kind,
                detail: None,
                text: String::new(),
                written: now,
                left: None,
                copy: false,
                forged: false,
                end: End::UnderWay,
            });
        }
        let mail = &mut self.diagram.mail[at];
        mail.left = now;
        mail.detail = detail;
        mail.text = text.to_string();
        mail.end = End::UnderWay;
        self.mail.insert(id, at);
    }
}

/// `n1 n2 | n3` if the cuts make a partition, else link by link: `n1 -/-> n2`, or `n1 -/- n2` for both
/// directions.
fn words_of_cuts(processes: &[NodeId], cut: &BTreeSet<(usize, usize)>) -> String {
    if cut.is_empty() {
        return String::new();
    }
    let size = processes.len();
    let joined = |one: usize, two: usize| !cut.contains(&(one, two)) && !cut.contains(&(two, one));
    let mut sides: Vec<Vec<usize>> = Vec::new();
    for process in 0..size {
        match sides.iter_mut().find(|side| joined(side[0], process)) {
            Some(side) => side.push(process),
            None => sides.push(vec![process]),
        }
    }
    let side_of = |process: usize| sides.iter().position(|side| side.contains(&process));
    let all_pairs = || (0..size).flat_map(|one| (0..size).map(move |two| (one, two)));
    let is_partition = all_pairs()
        .filter(|(one, two)| one != two)
        .all(|(one, two)| cut.contains(&(one, two)) == (side_of(one) != side_of(two)));
    if is_partition {
        let side = |side: &Vec<usize>| {
            let names: Vec<_> = side.iter().map(|&at| processes[at].to_string()).collect();
            names.join(" ")
        };
        return sides.iter().map(side).collect::<Vec<_>>().join(" | ");
    }
    let links = cut.iter().filter_map(|&(one, two)| {
        let both = cut.contains(&(two, one));
        let arrow = if both { "-/-" } else { "-/->" };
        let listed = !both || one < two;
        listed.then(|| format!("{} {arrow} {}", processes[one], processes[two]))
    });
    links.collect::<Vec<_>>().join(", ")
}
