//! Power fails at any write: what was answered as durable is there afterwards, and nothing that is
//! there is half of something.

use std::io::{Read, Write};
use std::sync::Arc;

use quorate_core::Choice;

use super::disk::SimDisk;
use super::model::Model;
use super::random::{Draw, read_history};
use super::*;
use crate::store::Worked;

/// What outlives a crash, and what remembers how it should be.
struct Lives {
    disk: SimDisk,
    draw: Draw,
    log: Vec<(Payload, Vec<Command>)>,
    /// The newest checkpoint that was said to be durable.
    answered: Checkpoint,
}

fn options(disk: &SimDisk) -> Options {
    Options {
        layer_bytes: 8_000,
        flush_after: None,
        sweep_events: 5,
        copy_step_bytes: 1000,
        cache_bytes: 1 << 20,
        files: Some(Arc::new(disk.clone())),
        ..Options::new("nowhere")
    }
}

impl Lives {
    fn new(seed: u64) -> Lives {
        Lives {
            disk: SimDisk::new(seed),
            draw: Draw {
                choice: Choice::Seeded(seed),
            },
            log: Vec::new(),
            answered: Checkpoint::default(),
        }
    }

    /// The state as it should be at a position.
    fn model(&self, position: u64) -> Model {
        let mut model = Model::new();
        for (_, commands) in &self.log[..position as usize] {
            for command in commands {
                // Refused commands are part of the history too.
                let _ = model.apply(0, command);
            }
        }
        model
    }

    fn new_payload(&mut self, newest: i64) {
        let count = self.draw.choice.choose(4);
        let commands: Vec<_> = (0..count).map(|_| self.draw.command(newest)).collect();
        let batch = Batch {
            origin: NodeId(7),
            incarnation: 1,
            sequence: self.log.len() as u64 + 1,
            commands,
        };
        self.log.push((codec::encode(&batch), batch.commands));
    }

    fn catch_up(&self, machine: &mut Machine, out: &mut Outcome) -> Result<(), Error> {
        let applied = machine.meta.checkpoint.position;
        for position in applied + 1..=self.log.len() as u64 {
            let payload = &self.log[position as usize - 1].0;
            machine.apply(position, 1, payload, false, out)?;
        }
        Ok(())
    }

    /// One life, which ends when the power does.
    fn live(&mut self) -> Result<(), Error> {
        let mut out = Outcome::default();
        let (mut machine, _) = Machine::open(options(&self.disk))?;
        self.catch_up(&mut machine, &mut out)?;
        let flusher = machine.flusher();
        for _ in 0..400 {
            match self.draw.choice.choose(30) {
                0..10 => {
                    self.new_payload(machine.meta.revision);
                    self.catch_up(&mut machine, &mut out)?;
                }
                10..16 => machine.publish(),
                16..20 => flusher.ask(),
                20 => self.carry_over(&mut machine)?,
                21 => machine.upkeep().defragment(),
                _ => {
                    if let Worked::Flushed(checkpoint) = flusher.run_once()? {
                        self.answered = checkpoint;
                    }
                }
            }
        }
        Ok(())
    }

    /// Another replica that is ahead sends its checkpoint.
    fn carry_over(&mut self, machine: &mut Machine) -> Result<(), Error> {
        let other = SimDisk::new(1);
        let (mut sender, _) = Machine::open(options(&other))?;
        self.new_payload(machine.meta.revision);
        self.catch_up(&mut sender, &mut Outcome::default())?;
        sender.flusher().ask();
        sender.publish();
        sender.flusher().run_once()?;
        let failed = |error: std::io::Error| Error::Storage(error.to_string());
        let (checkpoint, mut export) = sender.checkpoints().open().map_err(failed)?;
        let mut bytes = Vec::new();
        export.read_to_end(&mut bytes).map_err(failed)?;
        let mut import = machine.checkpoints().receive(checkpoint).map_err(failed)?;
        import.write_all(&bytes).map_err(failed)?;
        import.finish().map_err(failed)?;
        machine.install(checkpoint)?;
        self.answered = checkpoint;
        Ok(())
    }

    /// Everything that was said to be durable is there, and it is what it should be.
    fn examine(&mut self) {
        let (mut machine, survived) = Machine::open(options(&self.disk)).expect("it opens");
        assert!(
            survived >= self.answered,
            "{survived:?} {:?}",
            self.answered
        );
        // Everything at rest is what was written, and adds up.
        machine.upkeep().scrub();
        while machine.flusher().run_once().expect("the disk works") != Worked::Nothing {}
        assert_eq!(machine.upkeep().scrubs(), 1);
        let model = self.model(survived.position);
        let view = machine.views().view();
        assert_eq!(view.revision(), model.revision());
        assert_eq!(view.compacted(), model.compacted);
        let everything = KeyRange {
            key: Bytes::from_static(b"\0"),
            end: Bytes::from_static(b"\0"),
        };
        for revision in model.compacted.max(1)..=model.revision() {
            let range = Range {
                range: everything.clone(),
                revision,
                ..Range::default()
            };
            assert_eq!(view.range(&range), model.range(&range));
        }
        let from = model.compacted.max(1);
        assert_eq!(
            read_history(&view, &everything, from, 500),
            model.events(&everything, from)
        );
        assert_eq!(view.leases(), model.lease_ids());
        for id in model.lease_ids() {
            assert_eq!(view.lease(id), model.lease(id));
        }
        self.catch_up(&mut machine, &mut Outcome::default())
            .expect("the disk works");
        let now = self.model(self.log.len() as u64);
        assert_eq!(machine.meta.revision, now.revision());
    }
}

fn run(seed: u64) {
    let mut lives = Lives::new(seed);
    for _ in 0..6 {
        let power = 1 << lives.draw.choice.choose(11);
        let power = power + u64::from(lives.draw.choice.choose(200));
        lives.disk.set_power(power);
        let end = lives.live();
        assert!(end.is_ok() || lives.disk.is_off(), "{end:?}");
        lives.disk.crash();
        lives.examine();
        // The examined process ended in an orderly way, the next one finds either.
        if lives.draw.one_in(2) {
            lives.disk.crash();
        }
    }
}

#[test]
fn what_is_durable_survives_power_failures() {
    for seed in 0..40 {
        println!("seed {seed}");
        run(seed);
    }
}

/// The same for as long as one likes: `SEEDS=1000 cargo test -p quorate-service -- --ignored long`.
#[test]
#[ignore = "as long as one likes"]
fn what_is_durable_survives_power_failures_for_long() {
    let seeds = std::env::var("SEEDS")
        .ok()
        .and_then(|text| text.parse().ok());
    for seed in 1000..1000 + seeds.unwrap_or(1000) {
        println!("seed {seed}");
        run(seed);
    }
}
