//! The program `ferry`.
//!
//! All of it is in the library, which it shares with `kubectl-ferry`; nothing but the start belongs here. The two are
//! told apart by the name they were called by, so that a link from one name to the other serves as well as a copy, and an
//! image needs to hold the program only once.

fn main() -> std::process::ExitCode {
    ferry_cli::main()
}
