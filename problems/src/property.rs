//! How an oracle reports: property by property, so that a run can keep one promise and break another.

use core::fmt;

/// One property of a problem, and whether a run had it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Judged<V> {
    /// Its name, as textbooks call it.
    pub property: &'static str,
    /// What shows that the run did not have it.
    pub violation: Option<V>,
}

impl<V> Judged<V> {
    /// A property and the first violation of it that was found, if any was.
    pub fn new(property: &'static str, violation: Option<V>) -> Judged<V> {
        Judged {
            property,
            violation,
        }
    }

    /// Whether the run had the property.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.violation.is_none()
    }
}

impl<V: fmt::Display> fmt::Display for Judged<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.violation {
            None => write!(f, "{}: yes", self.property),
            Some(violation) => write!(f, "{}: no, {violation}", self.property),
        }
    }
}
