//! `kubectl ferry`: kubectl runs a program of this name; it is `ferry`, and says `kubectl ferry` in its texts.

fn main() -> std::process::ExitCode {
    ferry_cli::main()
}
