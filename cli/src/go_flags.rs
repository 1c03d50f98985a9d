//! etcd is written in Go, whose flags may have one dash or two: `-name x` is `--name x`.

use std::ffi::OsString;

/// Gives long flags with one dash their second, for `serve` only: the other commands never had them.
pub(crate) fn with_two_dashes(arguments: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = arguments.collect();
    if arguments.get(1).is_none_or(|command| command != "serve") {
        return arguments;
    }
    for argument in &mut arguments[2..] {
        let Some(text) = argument.to_str() else {
            continue;
        };
        let is_long = text.len() > 2 && !text.starts_with("--");
        let letter = text.as_bytes().get(1).is_some_and(u8::is_ascii_lowercase);
        if text.starts_with('-') && is_long && letter {
            *argument = OsString::from(format!("-{text}"));
        }
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn serve_takes_one_dash_or_two() {
        for (given, meant) in [
            ("quorate serve -name a", "quorate serve --name a"),
            ("quorate serve -name=a", "quorate serve --name=a"),
            ("quorate serve --name a", "quorate serve --name a"),
            ("quorate serve -h", "quorate serve -h"),
            ("quorate serve --x -1", "quorate serve --x -1"),
            ("quorate ctl get -wjson", "quorate ctl get -wjson"),
            ("quorate", "quorate"),
        ] {
            assert_eq!(with_two_dashes(words(given).into_iter()), words(meant));
        }
    }
}
