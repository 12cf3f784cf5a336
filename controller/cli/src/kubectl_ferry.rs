//! The program `kubectl-ferry`, so that `kubectl ferry` works.
//!
//! kubectl runs whatever program on the path has this name and hands all arguments over; flags in front of the word
//! `ferry` stay with kubectl, and its kubeconfig is none of ours. This is `ferry`, whole, and says `kubectl ferry` in its
//! texts, so that the commands it advises can be pasted. Nothing but the start belongs here.

fn main() -> std::process::ExitCode {
    ferry_cli::main()
}
