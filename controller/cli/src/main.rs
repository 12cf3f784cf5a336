//! `ferry`; all of it is in the library, which `kubectl-ferry` shares.

fn main() -> std::process::ExitCode {
    ferry_cli::main()
}
