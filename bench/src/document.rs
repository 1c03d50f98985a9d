//! Places in a document that a program writes.
//!
//! A place lies between two lines: `<!-- name -->` and `<!-- end of name -->`.

use std::ops::Range;

use anyhow::{Result, bail};

/// Where a place is, without the lines that mark it.
pub(crate) fn section(text: &str, name: &str) -> Result<Range<usize>> {
    let (begin, end) = (
        format!("<!-- {name} -->\n"),
        format!("<!-- end of {name} -->"),
    );
    let Some(begins) = text.find(&begin).map(|at| at + begin.len()) else {
        bail!("the document has no line {}", begin.trim_end());
    };
    let Some(length) = text[begins..].find(&end) else {
        bail!("the document has no line {end} after the one that begins the place");
    };
    Ok(begins..begins + length)
}

/// The text with something else in a place.
pub(crate) fn replace(text: &str, name: &str, new: &str) -> Result<String> {
    let place = section(text, name)?;
    Ok(format!(
        "{}\n{}\n\n{}",
        &text[..place.start],
        new.trim_end(),
        &text[place.end..]
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_replaced_again_and_again() {
        let text = "a\n<!-- x -->\n<!-- end of x -->\nb\n";
        let once = replace(text, "x", "new\n").expect("there is a place");
        assert_eq!(once, "a\n<!-- x -->\n\nnew\n\n<!-- end of x -->\nb\n");
        assert_eq!(replace(&once, "x", "new").expect("still"), once);
    }

    #[test]
    fn a_place_that_is_not_there_is_an_error() {
        for text in ["", "<!-- x -->\n", "<!-- end of x -->\n<!-- x -->\n"] {
            let error = replace(text, "x", "new").expect_err("no place");
            assert!(error.to_string().contains("x -->"), "{error}");
        }
    }
}
