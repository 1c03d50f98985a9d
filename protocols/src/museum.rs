//! The museum of famous bugs: what its exhibits have in common.
//!
//! A flaw breaks one rule of a protocol, in one line where that rule stands, so that tests can show that
//! searches notice. Only tests and the lab can switch one on; no server can.

/// A bug that somebody really wrote, or that a paper warns of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Exhibit {
    /// Its name in scripts and on command lines.
    pub name: &'static str,
    /// What is wrong, in a sentence.
    pub what: &'static str,
    /// Where it is told of.
    pub source: &'static str,
}

/// Declares the enum `Flaw` of one protocol: `Variant = "name": "what is wrong", "where it is told of";`.
macro_rules! museum {
    ($($variant:ident = $name:literal: $what:literal, $source:literal;)+) => {
        /// A bug that somebody really wrote, or that a paper warns of.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Flaw {
            $(#[doc = $what] $variant,)+
        }

        impl Flaw {
            /// All of them.
            pub const ALL: &'static [Flaw] = &[$(Flaw::$variant),+];

            /// What is told of each, in the same order.
            pub const EXHIBITS: &'static [$crate::museum::Exhibit] = &[$(
                $crate::museum::Exhibit { name: $name, what: $what, source: $source }
            ),+];

            /// What is told of it.
            #[must_use]
            pub const fn exhibit(self) -> $crate::museum::Exhibit {
                Flaw::EXHIBITS[self as usize]
            }

            /// Its name in scripts and on command lines.
            #[must_use]
            pub const fn name(self) -> &'static str {
                self.exhibit().name
            }
        }

        impl core::str::FromStr for Flaw {
            type Err = ();

            /// Reads its name.
            fn from_str(name: &str) -> Result<Flaw, ()> {
                let mut all = Flaw::ALL.iter();
                all.find(|flaw| flaw.name() == name).copied().ok_or(())
            }
        }
    };
}

pub(crate) use museum;
