//! A process that does nothing: the floor under every whole-process time.

fn main() {}
