//! `ferry-agent`: see the library.

fn main() {}
