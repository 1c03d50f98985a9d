//! A real network for members: a namespace for each, joined by a bridge on which this process has an address
//! too. Any direction between two of them can be cut, as a broken switch does: what is sent is lost, silently.

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// Networks of this process.
static MADE: AtomicU32 = AtomicU32::new(0);
/// Where nobody is: frames sent there are lost.
const NOWHERE: &str = "02:00:00:00:00:99";

/// See the module. It goes away when this is dropped.
pub(crate) struct Network {
    name: String,
    subnet: String,
    members: usize,
}

impl Network {
    /// A network for that many members, or `None`, with a note, where this process may not make one.
    pub(crate) fn make(members: usize) -> Option<Network> {
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let process = std::process::id();
        let network = Network {
            name: format!("q{process}-{number}"),
            subnet: format!("10.{}.{}", 100 + number % 100, process % 250),
            members,
        };
        match network.build() {
            Ok(()) => Some(network),
            Err(why) => {
                eprintln!("left out: no network namespaces here ({why})");
                None
            }
        }
    }

    /// How many members it has room for.
    pub(crate) fn members(&self) -> usize {
        self.members
    }

    /// The address of a member.
    pub(crate) fn address(&self, at: usize) -> String {
        format!("{}.{}", self.subnet, at + 1)
    }

    /// The same command, run where the member is.
    pub(crate) fn inside(&self, at: usize, command: &Command) -> Command {
        let mut inside = Command::new("ip");
        inside.args(["netns", "exec", &self.namespace(at)]);
        inside.arg(command.get_program()).args(command.get_args());
        inside
    }

    /// What one member sends another is lost from now on.
    pub(crate) fn cut(&self, from: usize, to: usize) {
        let (namespace, address) = (self.namespace(from), self.address(to));
        ip(&[
            "-n",
            &namespace,
            "neigh",
            "replace",
            &address,
            "lladdr",
            NOWHERE,
            "nud",
            "permanent",
            "dev",
            "eth0",
        ])
        .expect("the neighbour can be set");
    }

    /// Cuts both directions between each of some and each of others.
    pub(crate) fn part(&self, some: &[usize], others: &[usize]) {
        for &one in some {
            for &other in others {
                self.cut(one, other);
                self.cut(other, one);
            }
        }
    }

    /// Everybody reaches everybody again.
    pub(crate) fn heal(&self) {
        for from in 0..self.members {
            ip(&[
                "-n",
                &self.namespace(from),
                "neigh",
                "flush",
                "nud",
                "permanent",
            ])
            .expect("neighbours can be forgotten");
        }
    }

    fn namespace(&self, at: usize) -> String {
        format!("{}-{at}", self.name)
    }

    fn build(&self) -> Result<(), String> {
        let bridge = format!("{}b", self.name);
        ip(&["link", "add", &bridge, "type", "bridge"])?;
        let own = format!("{}.254/24", self.subnet);
        ip(&["addr", "add", &own, "dev", &bridge])?;
        ip(&["link", "set", &bridge, "up"])?;
        for at in 0..self.members {
            let namespace = self.namespace(at);
            // The length of a link's name is limited to 15.
            let link = format!("{}v{at}", self.name);
            let address = format!("{}/24", self.address(at));
            ip(&["netns", "add", &namespace])?;
            ip(&[
                "link", "add", &link, "type", "veth", "peer", "name", "eth0", "netns", &namespace,
            ])?;
            ip(&["link", "set", &link, "master", &bridge, "up"])?;
            ip(&["-n", &namespace, "addr", "add", &address, "dev", "eth0"])?;
            ip(&["-n", &namespace, "link", "set", "eth0", "up"])?;
            ip(&["-n", &namespace, "link", "set", "lo", "up"])?;
        }
        Ok(())
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for at in 0..self.members {
            // What was never made cannot be deleted, and a link goes with its namespace.
            let _ = ip(&["netns", "del", &self.namespace(at)]);
        }
        let _ = ip(&["link", "del", &format!("{}b", self.name)]);
    }
}

/// Runs `ip`, and says what it says if it fails.
fn ip(arguments: &[&str]) -> Result<(), String> {
    let output = Command::new("ip").args(arguments).output();
    let output = output.map_err(|error| format!("ip: {error}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
    }
}
