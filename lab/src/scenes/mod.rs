//! Scenes: short named runs with a story.
