//! Pictures of traces made by hand.

use quorate_core::{Frame, Instant, NodeId, Status};
use quorate_sim::trace::{Event, Loss, MailId, What};

use super::{Diagram, End, Happening, Mark, Note, Recording, html, svg, text};

/// Writes traces.
struct Tale {
    recording: Recording,
    mail: u64,
}

impl Tale {
    fn new(size: u64) -> Tale {
        let members: Vec<NodeId> = (1..=size).map(NodeId).collect();
        let mut tale = Tale {
            recording: Recording {
                title: "A tale".to_string(),
                members: members.clone(),
                ..Recording::default()
            },
            mail: 0,
        };
        for node in members {
            let incarnation = 1;
            tale.add(What::Started { node, incarnation });
        }
        let quiet = 0..tale.recording.trace.events.len();
        tale.recording.quiet.push(quiet);
        tale
    }

    fn add(&mut self, what: What) {
        let at = Instant(0);
        self.recording.trace.events.push(Event { at, what });
    }

    fn fire(&mut self, node: u64, timer: &str) {
        self.add(What::Fired {
            node: NodeId(node),
            timer: timer.to_string(),
        });
    }

    fn send(&mut self, from: u64, to: u64, kind: &str) -> MailId {
        self.mail += 1;
        let mail = MailId(self.mail);
        self.add(What::Sent {
            mail,
            from: NodeId(from),
            to: NodeId(to),
            kind: kind.to_string(),
            text: format!("{kind} {{ term: 1, to: {to} }}"),
        });
        mail
    }

    fn receive(&mut self, mail: MailId, node: u64) {
        let node = NodeId(node);
        self.add(What::Received { mail, node });
    }

    fn lose(&mut self, mail: MailId, why: Loss) {
        self.add(What::Lost { mail, why });
    }

    fn become_leader(&mut self, node: u64, epoch: u64) {
        let status = Status {
            role: "leader",
            epoch,
            leader: Some(NodeId(node)),
            head: 0,
            decided: 0,
            whole: true,
            repaired: 0,
        };
        let node = NodeId(node);
        self.add(What::Became { node, status });
    }

    fn note(&mut self, text: &str) {
        self.recording.notes.push(Note {
            at: self.recording.trace.events.len(),
            text: text.to_string(),
        });
    }

    fn diagram(&self) -> Diagram {
        Diagram::of(&self.recording)
    }

    fn text(&self) -> String {
        text::render(&self.diagram(), text::Style::default())
    }
}

/// n1 writes and asks two others; one answer arrives, one is lost; then a crash.
fn small() -> Tale {
    let mut tale = Tale::new(3);
    tale.note("It begins.");
    tale.fire(1, "Tick");
    tale.add(What::Wrote {
        node: NodeId(1),
        frame: Frame(1),
        text: "Vote".to_string(),
    });
    for to in [1, 2, 3] {
        tale.add(What::Held {
            node: NodeId(1),
            to: NodeId(to),
            until: Frame(1),
            kind: "Ask".to_string(),
        });
    }
    tale.add(What::Synced {
        node: NodeId(1),
        frame: Frame(1),
    });
    let (two, three) = (tale.send(1, 2, "Ask"), tale.send(1, 3, "Ask"));
    tale.receive(three, 3);
    let answer = tale.send(3, 1, "Yes");
    tale.receive(two, 2);
    let lost = tale.send(2, 1, "Yes");
    tale.receive(answer, 1);
    tale.become_leader(1, 4);
    tale.lose(lost, Loss::Dropped);
    tale.add(What::Output {
        node: NodeId(1),
        text: "Deliver { position: 1, epoch: 4, payload: \"a\" }".to_string(),
        decision: true,
    });
    tale.add(What::Crashed {
        node: NodeId(1),
        kept: 0,
    });
    tale
}

#[test]
fn a_small_run_as_text() {
    let expected = "
       n1              n2              n3
        │               │               │
        │               │               │
    # It begins.
        │               │               │
   1    ◷ Tick          │               │               n1: the timer Tick runs out
        │ ▢ 1           │               │               writes 1: Vote; holds until 1 is durable: Ask to itself, Ask to…
   2    ▣ 1             │               │               n1: durable through frame 1
        │               │               │               counts its own Ask; sends Ask to n2, n3
   3    │───────────────│────Ask 3─────▶│               n1 → n3: Ask { term: 1, to: 3 }
        │               │               │               sends Yes to n1
   4    │────Ask 2─────▶│               │               n1 → n2: Ask { term: 1, to: 2 }
        │               │               │               sends Yes to n1
   5    │◀────Yes 1─────│───────────────│               n3 → n1: Yes { term: 1, to: 1 }
        ┃ [leader 4]    │               │
        ┃ ◆ 1 \"a\"       │               │
        ┃╳────Yes 1─────│               │               n2 → n1: dropped: Yes { term: 1, to: 1 }
   6    ╳ crash         │               │               n1 crashes
";
    let text = small().text();
    let shown: Vec<&str> = text.lines().map(str::trim_end).collect();
    let wanted: Vec<&str> = expected.trim_start_matches('\n').lines().collect();
    assert_eq!(shown, wanted, "{text}");
}

#[test]
fn held_mail_leaves_when_its_frame_is_durable() {
    let diagram = small().diagram();
    let to_two = &diagram.mail[1];
    let moments = (to_two.written, to_two.left, to_two.end);
    let received = End::Received(4);
    // Moment 0 is the remark.
    assert_eq!(moments, (Some(1), Some(2), received));
    let to_itself = &diagram.mail[0];
    assert_eq!((to_itself.left, to_itself.end), (Some(2), End::Received(2)));
    let lost = End::Lost(6, Loss::Dropped);
    assert!(diagram.mail.iter().any(|mail| mail.end == lost));
}

#[test]
fn what_can_have_happened_together_shares_a_row() {
    let mut tale = Tale::new(5);
    tale.fire(1, "Tick");
    let mail: Vec<_> = (2..=5).map(|to| (tale.send(1, to, "Ask"), to)).collect();
    for (mail, to) in mail {
        tale.receive(mail, to);
    }
    assert_eq!(tale.diagram().rows, 2);
    // What comes from outside stands below what its author had seen.
    tale.fire(2, "Tick");
    tale.fire(3, "Tick");
    let diagram = tale.diagram();
    assert_eq!(diagram.rows, 3);
    assert_eq!(diagram.moments[5].row, diagram.moments[6].row);
    tale.note("And now");
    tale.fire(4, "Tick");
    assert_eq!(tale.diagram().rows, 4);
}

#[test]
fn what_is_skipped_leaves_a_gap_and_its_mail_arrives_all_the_same() {
    let mut tale = Tale::new(2);
    tale.fire(1, "Tick");
    let start = tale.recording.trace.events.len();
    tale.fire(1, "Tock");
    let mail = tale.send(1, 2, "Ask");
    tale.recording
        .quiet
        .push(start..tale.recording.trace.events.len());
    tale.receive(mail, 2);
    let diagram = tale.diagram();
    let skipped = diagram
        .moments
        .iter()
        .filter(|m| m.what == Happening::Skipped);
    assert_eq!(skipped.count(), 1);
    assert_eq!(diagram.mail[0].left, None);
    assert_eq!(diagram.mail[0].end, End::Received(2));
    assert!(svg::render(&diagram).contains("data-mail=\"0\""));
}

fn cuts(size: u64, cut: &[(u64, u64)]) -> String {
    let mut tale = Tale::new(size);
    for &(from, to) in cut {
        tale.add(What::Cut {
            from: NodeId(from),
            to: NodeId(to),
        });
    }
    let diagram = tale.diagram();
    match diagram.moments.as_slice() {
        [moment] => match &moment.what {
            Happening::Parted(parting) => parting.text.clone(),
            other => panic!("{other:?}"),
        },
        other => panic!("cuts made at once are one moment: {other:?}"),
    }
}

#[test]
fn partitions_are_told_by_their_sides_and_other_cuts_link_by_link() {
    let both = [(1, 2), (2, 1), (1, 3), (3, 1)];
    assert_eq!(cuts(3, &both), "n1 | n2 n3");
    assert_eq!(cuts(3, &both[..1]), "n1 -/-> n2");
    assert_eq!(cuts(3, &both[..3]), "n1 -/- n2, n1 -/-> n3");
    // A bridge: n2 hears everybody.
    assert_eq!(cuts(3, &both[2..]), "n1 -/- n3");
}

#[test]
fn forged_mail_is_no_step_of_its_sender() {
    let mut tale = Tale::new(2);
    tale.add(What::Forged { mail: MailId(1) });
    let mail = tale.send(1, 2, "Lie");
    tale.receive(mail, 2);
    let diagram = tale.diagram();
    assert_eq!(diagram.moments[0].what, Happening::Forged(0));
    assert_eq!(diagram.moments.len(), 2, "and its arrival");
    assert!(tale.text().contains("forged: n1 → n2: Lie"));
    assert!(svg::render(&diagram).contains("forged Lie"));
}

#[test]
fn a_violation_is_drawn_even_where_the_story_is_skipped() {
    let mut tale = Tale::new(1);
    let start = tale.recording.trace.events.len();
    tale.fire(1, "Tick");
    tale.add(What::Violated {
        text: "two & two".to_string(),
    });
    tale.recording.quiet.push(start..start + 2);
    assert!(tale.text().contains("VIOLATED: two & two"));
    assert!(svg::render(&tale.diagram()).contains("violated: two &amp; two"));
}

#[test]
fn only_the_last_role_of_a_step_is_shown() {
    let mut tale = Tale::new(1);
    tale.fire(1, "Tick");
    tale.become_leader(1, 1);
    tale.become_leader(1, 2);
    let text = tale.text();
    assert!(
        text.contains("[leader 2]") && !text.contains("[leader 1]"),
        "{text}"
    );
    let Happening::Step(step) = &tale.diagram().moments[0].what else {
        panic!("a step");
    };
    assert_eq!(step.marks.len(), 3);
    assert_eq!(step.marks[0], Mark::Fired("Tick".to_string()));
}

#[test]
fn where_there_are_no_epochs_none_is_shown() {
    let mut tale = Tale::new(1);
    tale.fire(1, "Tick");
    tale.become_leader(1, 0);
    assert!(tale.text().contains("[leader]"), "{}", tale.text());
    let picture = svg::render(&tale.diagram());
    assert!(picture.contains("leader<") && !picture.contains("leader 0"));
}

/// Every element that is opened is closed, in order, and attributes are quoted.
fn assert_well_formed(text: &str) {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find('<') {
        let end = start + rest[start..].find('>').expect("a tag ends");
        let tag = &rest[start + 1..end];
        rest = &rest[end + 1..];
        assert!(!tag.contains('<'), "{tag}");
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
        let name = tag.trim_start_matches('/').split([' ', '/']).next();
        match (tag.starts_with('/'), tag.ends_with('/')) {
            (true, _) => assert_eq!(open.pop(), name, "{tag}"),
            (false, true) => {}
            (false, false) => open.extend(name),
        }
    }
    assert!(open.is_empty(), "{open:?}");
}

#[test]
fn pictures_are_well_formed_whatever_the_texts_are() {
    let mut tale = small();
    let nasty = "</text><script>alert(\"1\")</script> & 'x' \u{1}";
    tale.recording.title = nasty.to_string();
    tale.note(nasty);
    tale.fire(2, nasty);
    let mail = tale.send(2, 3, nasty);
    tale.receive(mail, 3);
    for text in [nasty, "Deliver { position: 1, epoch: 1, payload: \"<&>\" }"] {
        tale.add(What::Output {
            node: NodeId(3),
            text: text.to_string(),
            decision: true,
        });
    }
    let diagram = tale.diagram();
    let svg = svg::render(&diagram);
    assert_well_formed(&svg);
    assert!(!svg.contains("<script"), "{svg}");
    assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    let head = html::Head {
        title: nasty.to_string(),
        source: nasty.to_string(),
        story: vec![nasty.to_string()],
        verdicts: vec![html::Row {
            property: nasty.to_string(),
            holds: false,
            expected: true,
            witness: nasty.to_string(),
        }],
    };
    let page = html::render(&head, &[diagram]);
    assert_eq!(page.matches("<script").count(), 1, "only our own");
    assert!(!page.contains("alert(\"1"), "{page}");
}

#[test]
fn nothing_at_all_can_be_drawn() {
    let diagram = Diagram::of(&Recording::default());
    assert_well_formed(&svg::render(&diagram));
    assert_eq!(text::render(&diagram, text::Style::default()).trim(), "");
}

/// Five processes, sixty messages: every piece has an arrow and a name.
#[test]
fn sixty_messages_all_have_names() {
    let mut tale = Tale::new(5);
    let mut sent = 0;
    for round in 0..8 {
        let from = round % 5 + 1;
        tale.fire(from, "Tick");
        let others = (1..=5).filter(|&to| to != from);
        let mail: Vec<_> = others
            .map(|to| (tale.send(from, to, "Propose"), to))
            .collect();
        sent += mail.len();
        for (mail, to) in mail {
            tale.receive(mail, to);
            let answer = tale.send(to, from, "Accepted");
            sent += 1;
            tale.receive(answer, from);
        }
    }
    assert!(sent >= 60);
    let svg = svg::render(&tale.diagram());
    assert_well_formed(&svg);
    assert_eq!(svg.matches("class=\"mail\"").count(), sent);
    assert_eq!(svg.matches("class=\"name\"").count(), sent);
}
