//! What can be said to a world: one command is one line of a script. Seeds, checker and explorer write
//! in the same words, so that whatever they find is a script.

use std::fmt;
use std::str::FromStr;

use quorate_core::NodeId;

use crate::nearest::perhaps;

/// One line of a script.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Command {
    /// A new world: its size, and the words that say more.
    Cluster {
        /// How many members, called n1, n2 and so on.
        size: u64,
        /// Options.
        words: Vec<String>,
    },
    /// Puts records on the disk of a machine that is down.
    Disk {
        /// Whose.
        node: NodeId,
        /// The records, in the protocol's words.
        words: Vec<String>,
    },
    /// Starts machines that are down.
    Restart(Who),
    /// Stops machines.
    Crash {
        /// Which.
        who: Who,
        /// How many of the frames that were not durable survive all the same.
        keep: usize,
    },
    /// A running timer runs out.
    Fire {
        /// Whose.
        node: NodeId,
        /// Which.
        timer: String,
    },
    /// Time passes.
    Advance {
        /// How much, in microseconds; written in milliseconds.
        us: u64,
    },
    /// Something happens to mail under way.
    Mail {
        /// What.
        fate: Fate,
        /// To which.
        mail: Selector,
    },
    /// Mail that its sender never sent.
    Forge {
        /// Whom it claims to be from.
        from: NodeId,
        /// Who is to get it.
        to: NodeId,
        /// The encoded message.
        bytes: Vec<u8>,
    },
    /// Disks finish what they were given.
    Sync {
        /// Whose.
        who: Who,
        /// How many frames; everything if it is not said.
        count: Option<usize>,
    },
    /// Cuts every link between two members that are on no side together.
    Partition(Vec<Vec<NodeId>>),
    /// From now on nothing gets from the first to the second.
    Cut {
        /// The sender.
        from: NodeId,
        /// The receiver.
        to: NodeId,
    },
    /// Cuts a member off from all others.
    Isolate(NodeId),
    /// All links work again.
    Heal,
    /// Disks and network work until nothing is left to do.
    Settle,
    /// The application makes its state durable, and tells nobody.
    Flush(NodeId),
    /// The oldest of the frames that are not needed are deleted.
    Delete {
        /// Whose.
        node: NodeId,
        /// How many.
        count: usize,
    },
    /// The newest frames vanish from the disk of a machine that is down, and nobody can tell.
    Lose {
        /// Whose.
        node: NodeId,
        /// How many.
        count: usize,
    },
    /// Frames on the disk of a machine that is down become unreadable, which is noticed.
    Damage {
        /// Whose.
        node: NodeId,
        /// Which.
        frames: Vec<u64>,
    },
    /// Everything works from now on, and so must these members, or all.
    Progress(Vec<NodeId>),
    /// One line for each member.
    Status,
    /// What the protocol has to say about itself.
    Show(Who),
    /// A command without its trace.
    Quietly(Box<Command>),
    /// A command that lets one replica take one step, with what that is to choose.
    Choose {
        /// Its choices in order; the first way wherever it goes on choosing.
        answers: Vec<u32>,
        /// The command.
        command: Box<Command>,
    },
    /// A request of the problem.
    Request {
        /// What kind.
        verb: String,
        /// Of whom.
        node: String,
        /// What about.
        arguments: Vec<String>,
    },
}

/// Whom a command is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Who {
    /// Everybody it makes sense for.
    All,
    /// One member.
    One(NodeId),
}

/// What happens to mail.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// It arrives.
    Deliver,
    /// It is lost.
    Drop,
    /// A copy of it is sent behind it.
    Duplicate,
}

/// Which mail is meant. With both ends it is one piece, the oldest if nothing else is said;
/// otherwise it is all that fits.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Selector {
    /// Who sent it.
    pub from: Option<NodeId>,
    /// Who is to get it.
    pub to: Option<NodeId>,
    /// The kind of message.
    pub kind: Option<String>,
    /// 2 is the second oldest that fits, and so on.
    pub ordinal: Option<usize>,
}

/// The first words of all commands but requests.
pub const VERBS: &[&str] = &[
    "advance",
    "choose",
    "cluster",
    "crash",
    "cut",
    "damage",
    "delete",
    "deliver",
    "disk",
    "drop",
    "duplicate",
    "fire",
    "flush",
    "forge",
    "heal",
    "isolate",
    "lose",
    "partition",
    "progress",
    "quietly",
    "restart",
    "settle",
    "show",
    "status",
    "sync",
];

impl Command {
    /// Reads the words of a line.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn parse(words: &[&str]) -> Result<Command, String> {
        if let Some(command) = Command::parse_disk(words)? {
            return Ok(command);
        }
        Ok(match words {
            ["cluster", size, words @ ..] => Command::Cluster {
                size: number(size)?,
                words: owned(words),
            },
            ["restart", who] => Command::Restart(self::who(who)?),
            ["crash", who] => Command::Crash {
                who: self::who(who)?,
                keep: 0,
            },
            ["crash", who, "keep", keep] => Command::Crash {
                who: self::who(who)?,
                keep: number(keep)?,
            },
            ["fire", node, timer] => Command::Fire {
                node: self::node(node)?,
                timer: (*timer).to_string(),
            },
            ["advance", ms] => Command::Advance {
                us: microseconds(ms)?,
            },
            ["deliver", mail @ ..] => Fate::Deliver.of(mail)?,
            ["drop", mail @ ..] => Fate::Drop.of(mail)?,
            ["duplicate", mail @ ..] => Fate::Duplicate.of(mail)?,
            ["forge", from, to, bytes] => Command::Forge {
                from: node(from)?,
                to: node(to)?,
                bytes: unhex(bytes)?,
            },
            ["sync", who] => Command::Sync {
                who: self::who(who)?,
                count: None,
            },
            ["sync", who, count] => Command::Sync {
                who: self::who(who)?,
                count: Some(number(count)?),
            },
            ["partition", sides @ ..] => partition(sides)?,
            ["cut", from, to] => Command::Cut {
                from: node(from)?,
                to: node(to)?,
            },
            ["isolate", node] => Command::Isolate(self::node(node)?),
            ["heal"] => Command::Heal,
            ["settle"] => Command::Settle,
            ["progress", core @ ..] => Command::Progress(nodes(core)?),
            ["status"] => Command::Status,
            ["show", who] => Command::Show(self::who(who)?),
            ["quietly", words @ ..] => Command::Quietly(Box::new(Command::parse(words)?)),
            ["choose", answers, words @ ..] if !words.is_empty() => choose(answers, words)?,
            [verb, ..] if VERBS.contains(verb) => {
                return Err(format!("wrong arguments: {}", words.join(" ")));
            }
            [verb, node, arguments @ ..] => Command::Request {
                verb: (*verb).to_string(),
                node: (*node).to_string(),
                arguments: owned(arguments),
            },
            [verb] => return Err(no_such(verb)),
            [] => return Err("there is no command".to_string()),
        })
    }

    /// Reads a command about a disk, if it is one.
    fn parse_disk(words: &[&str]) -> Result<Option<Command>, String> {
        Ok(Some(match words {
            ["disk", node, words @ ..] => Command::Disk {
                node: self::node(node)?,
                words: owned(words),
            },
            ["flush", node] => Command::Flush(self::node(node)?),
            ["delete", node, count] => Command::Delete {
                node: self::node(node)?,
                count: number(count)?,
            },
            ["lose", node, count] => Command::Lose {
                node: self::node(node)?,
                count: number(count)?,
            },
            ["damage", node, frames @ ..] if !frames.is_empty() => Command::Damage {
                node: self::node(node)?,
                frames: frames
                    .iter()
                    .map(|frame| number(frame))
                    .collect::<Result<_, _>>()?,
            },
            _ => return Ok(None),
        }))
    }
}

/// The words as a list of their own.
fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_string()).collect()
}

/// There is no such command.
pub(crate) fn no_such(verb: &str) -> String {
    let perhaps = perhaps(verb, VERBS.iter().copied());
    format!("no such command: {verb}{perhaps}")
}

impl Fate {
    /// The command that does this to the mail that these words say.
    fn of(self, words: &[&str]) -> Result<Command, String> {
        let mail = Selector::parse(words)?;
        Ok(Command::Mail { fate: self, mail })
    }
}

impl Selector {
    fn parse(words: &[&str]) -> Result<Selector, String> {
        const WHICH: &str = "which mail? `all`, or from, to, and perhaps a kind and which of them";
        let end = |word: &str| match word {
            "*" => Ok(None),
            word => node(word).map(Some),
        };
        let (from, to, more) = match words {
            ["all"] => return Ok(Selector::default()),
            [from, to, more @ ..] => (end(from)?, end(to)?, more),
            _ => return Err(WHICH.to_string()),
        };
        let (kind, ordinal) = match more {
            [] => (None, None),
            [kind] => (Some(*kind), None),
            [kind, ordinal] => (Some(*kind), Some(number(ordinal)?)),
            _ => return Err(WHICH.to_string()),
        };
        if ordinal == Some(0) || (ordinal.is_some() && (from.is_none() || to.is_none())) {
            return Err("only mail from one to another is counted, from 1".to_string());
        }
        Ok(Selector {
            from,
            to,
            kind: kind.filter(|kind| *kind != "*").map(str::to_string),
            ordinal,
        })
    }
}

/// Reads choices, and the command that they are for.
fn choose(answers: &str, words: &[&str]) -> Result<Command, String> {
    let answers = answers.split(',').map(number);
    let answers = answers.collect::<Result<_, _>>()?;
    let command = Command::parse(words)?;
    let one_step = match &command {
        Command::Fire { .. } | Command::Request { .. } => true,
        Command::Restart(who) | Command::Sync { who, .. } => *who != Who::All,
        Command::Mail { fate, mail } => {
            *fate == Fate::Deliver && mail.from.is_some() && mail.to.is_some()
        }
        _ => false,
    };
    if !one_step {
        return Err(format!("not one step of one replica: {command}"));
    }
    let command = Box::new(command);
    Ok(Command::Choose { answers, command })
}

fn number<T: FromStr>(word: &str) -> Result<T, String> {
    word.parse().map_err(|_| format!("not a number: {word}"))
}

/// Reads milliseconds with up to three decimals.
fn microseconds(word: &str) -> Result<u64, String> {
    let (whole, decimals) = word.split_once('.').unwrap_or((word, "0"));
    let digits = decimals.bytes().all(|digit| digit.is_ascii_digit());
    if !digits || decimals.is_empty() || decimals.len() > 3 {
        return Err(format!("not milliseconds: {word}"));
    }
    let whole: u64 = number(whole)?;
    let decimals: u64 = number(&format!("{decimals:0<3}"))?;
    let us = whole
        .checked_mul(1000)
        .and_then(|us| us.checked_add(decimals));
    us.ok_or_else(|| format!("not milliseconds: {word}"))
}

fn milliseconds(us: u64) -> String {
    match us % 1000 {
        0 => (us / 1000).to_string(),
        _ => {
            let text = format!("{}.{:03}", us / 1000, us % 1000);
            text.trim_end_matches('0').to_string()
        }
    }
}

fn node(word: &str) -> Result<NodeId, String> {
    word.parse()
        .map_err(|error| format!("{error}, found {word}"))
}

fn nodes(words: &[&str]) -> Result<Vec<NodeId>, String> {
    words.iter().map(|word| node(word)).collect()
}

fn who(word: &str) -> Result<Who, String> {
    match word {
        "all" => Ok(Who::All),
        word => node(word).map(Who::One),
    }
}

fn partition(words: &[&str]) -> Result<Command, String> {
    let sides = words.split(|word| *word == "|").map(nodes);
    let sides: Vec<_> = sides.collect::<Result<_, _>>()?;
    match sides.len() {
        0 | 1 => Err("a partition has two sides: n1 | n2 n3".to_string()),
        _ => Ok(Command::Partition(sides)),
    }
}

fn unhex(word: &str) -> Result<Vec<u8>, String> {
    let digits: Option<Vec<u8>> = word
        .chars()
        .map(|digit| {
            digit
                .to_digit(16)
                .and_then(|digit| u8::try_from(digit).ok())
        })
        .collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0);
    let digits = digits.ok_or_else(|| format!("not bytes in hexadecimal: {word}"))?;
    Ok(digits
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect())
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Command::Cluster { size, words } => write!(f, "cluster {size}{}", Tail(words)),
            Command::Disk { node, words } => write!(f, "disk {node}{}", Tail(words)),
            Command::Restart(who) => write!(f, "restart {who}"),
            Command::Crash { who, keep: 0 } => write!(f, "crash {who}"),
            Command::Crash { who, keep } => write!(f, "crash {who} keep {keep}"),
            Command::Fire { node, timer } => write!(f, "fire {node} {timer}"),
            Command::Advance { us } => write!(f, "advance {}", milliseconds(*us)),
            Command::Mail { fate, mail } => write!(f, "{fate} {mail}"),
            Command::Forge { from, to, bytes } => {
                write!(f, "forge {from} {to} ")?;
                bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
            Command::Sync { who, count: None } => write!(f, "sync {who}"),
            Command::Sync {
                who,
                count: Some(count),
            } => write!(f, "sync {who} {count}"),
            Command::Partition(sides) => {
                let sides: Vec<_> = sides.iter().map(|side| Tail(side).to_string()).collect();
                write!(f, "partition{}", sides.join(" |"))
            }
            Command::Cut { from, to } => write!(f, "cut {from} {to}"),
            Command::Isolate(node) => write!(f, "isolate {node}"),
            Command::Heal => write!(f, "heal"),
            Command::Settle => write!(f, "settle"),
            Command::Flush(node) => write!(f, "flush {node}"),
            Command::Delete { node, count } => write!(f, "delete {node} {count}"),
            Command::Lose { node, count } => write!(f, "lose {node} {count}"),
            Command::Damage { node, frames } => write!(f, "damage {node}{}", Tail(frames)),
            Command::Progress(core) => write!(f, "progress{}", Tail(core)),
            Command::Status => write!(f, "status"),
            Command::Show(who) => write!(f, "show {who}"),
            Command::Quietly(command) => write!(f, "quietly {command}"),
            Command::Choose { answers, command } => {
                let answers: Vec<_> = answers.iter().map(u32::to_string).collect();
                write!(f, "choose {} {command}", answers.join(","))
            }
            Command::Request {
                verb,
                node,
                arguments,
            } => write!(f, "{verb} {node}{}", Tail(arguments)),
        }
    }
}

/// Words that end a line.
struct Tail<'a, T>(&'a [T]);

impl<T: fmt::Display> fmt::Display for Tail<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|word| write!(f, " {word}"))
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Who::All => f.write_str("all"),
            Who::One(node) => write!(f, "{node}"),
        }
    }
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Fate::Deliver => "deliver",
            Fate::Drop => "drop",
            Fate::Duplicate => "duplicate",
        })
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Selector::default() {
            return f.write_str("all");
        }
        let end = |end: Option<NodeId>| end.map_or("*".to_string(), |node| node.to_string());
        write!(f, "{} {}", end(self.from), end(self.to))?;
        match (&self.kind, self.ordinal) {
            (None, None) => Ok(()),
            (Some(kind), None) => write!(f, " {kind}"),
            (kind, Some(ordinal)) => write!(f, " {} {ordinal}", kind.as_deref().unwrap_or("*")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_read_as_it_is_written() {
        let lines = "cluster 3 down window=2|disk n1 term=7 log=1,2|restart all|crash n2|\
            crash n2 keep 3|fire n1 Election|advance 250|advance 0.015|advance 12.5|deliver all|deliver n1 n2|drop * n2 Vote|\
            duplicate n1 n2 Vote 2|deliver n1 n2 * 3|forge n1 n2 00ff1a|sync all|sync n1 2|\
            cut n1 n2|isolate n3|heal|settle|flush n1|delete n1 4|lose n1 2|damage n2 3 4|progress|\
            progress n1 n2|status|show n1|quietly settle|\
            choose 1 fire n1 Election|choose 2,0 deliver n1 n2 Vote|broadcast n1 \"a b\"";
        for line in lines.split('|').chain(["partition n1 n2 | n2 n3 | n4"]) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let command = Command::parse(&words).expect(line);
            assert_eq!(command.to_string(), line);
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let refused = [
            ("", "there is no command"),
            ("setle", "no such command: setle; perhaps settle"),
            ("sync", "wrong arguments: sync"),
            ("damage n1", "wrong arguments: damage n1"),
            ("deliver n1", "which mail?"),
            ("deliver n1 n2 Vote 1 2", "which mail?"),
            ("deliver * n2 Vote 2", "only mail from one to another"),
            ("deliver n1 n2 Vote 0", "only mail from one to another"),
            ("deliver n1 n2 Vote two", "not a number: two"),
            ("forge n1 n2 abc", "not bytes"),
            ("forge n1 n2 xy", "not bytes"),
            ("cut n1 two", "not a node"),
            ("advance 1.2345", "not milliseconds"),
            ("advance 1.x", "not milliseconds"),
            ("advance x", "not a number: x"),
            ("partition n1 n2", "a partition has two sides"),
            ("choose", "wrong arguments: choose"),
            ("choose 1", "wrong arguments: choose 1"),
            ("choose one fire n1 Election", "not a number: one"),
            ("choose 1 settle", "not one step of one replica: settle"),
            ("choose 1 deliver all", "not one step of one replica"),
            ("choose 1 restart all", "not one step of one replica"),
        ];
        for (line, reason) in refused {
            let words: Vec<&str> = line.split_whitespace().collect();
            let error = Command::parse(&words).expect_err(line);
            assert!(error.starts_with(reason), "{line}: {error}");
        }
    }
}
