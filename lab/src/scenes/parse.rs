//! Reads scenes.

use quorate_sim::nearest::perhaps;

use super::{Scene, Wrong};

/// What a scene consists of.
const KEYS: [&str; 7] = [
    "title", "source", "protocol", "expect", "alike", "story", "script",
];

pub(super) fn scene(name: &str, text: &str) -> Result<Scene, Wrong> {
    let mut scene = Scene {
        name: name.to_string(),
        ..Scene::default()
    };
    let mut story = String::new();
    let mut in_story = false;
    let mut lines = text.lines().enumerate();
    for (number, line) in lines.by_ref() {
        let wrong = |reason: String| Wrong {
            line: number + 1,
            reason,
        };
        let key = line.split_once(':').filter(|(key, _)| KEYS.contains(key));
        match key {
            Some(("script", _)) => {
                scene.first = number + 2;
                break;
            }
            Some(("story", rest)) => {
                in_story = true;
                story.push_str(rest.trim());
                story.push('\n');
            }
            Some((key, value)) => {
                in_story = false;
                header(&mut scene, key, value.trim()).map_err(wrong)?;
            }
            None if in_story => {
                story.push_str(line);
                story.push('\n');
            }
            None if line.trim().is_empty() => {}
            None => {
                let word = line.split(':').next().unwrap_or_default();
                let hint = perhaps(word, KEYS);
                return Err(wrong(format!("a scene has no line `{word}`{hint}")));
            }
        }
    }
    if scene.first == 0 {
        return Err(Wrong {
            line: text.lines().count(),
            reason: "a scene ends with a line `script:` and its commands".to_string(),
        });
    }
    for (_, line) in lines {
        scene.script.push_str(line);
        scene.script.push('\n');
    }
    let paragraphs = story.split("\n\n").map(|paragraph| {
        let words: Vec<&str> = paragraph.split_whitespace().collect();
        words.join(" ")
    });
    scene.story = paragraphs
        .filter(|paragraph| !paragraph.is_empty())
        .collect();
    for (what, value) in [("title", &scene.title), ("protocol", &scene.protocol)] {
        if value.is_empty() {
            return Err(Wrong {
                line: 1,
                reason: format!("a scene needs a line `{what}:`"),
            });
        }
    }
    Ok(scene)
}

fn header(scene: &mut Scene, key: &str, value: &str) -> Result<(), String> {
    match key {
        "title" => scene.title = value.to_string(),
        "source" => scene.source = value.to_string(),
        "protocol" => scene.protocol = value.to_string(),
        "expect" => {
            let (property, verdict) = value.rsplit_once(' ').unwrap_or((value, ""));
            let verdict = verdict.parse().map_err(|_| {
                format!("expected a property and `true` or `false`, found `{value}`")
            })?;
            scene.expect.insert(property.to_string(), verdict);
        }
        _ => {
            for word in value.split_whitespace() {
                let node = word.parse();
                scene
                    .alike
                    .push(node.map_err(|error| format!("{error}, found {word}"))?);
            }
        }
    }
    Ok(())
}
