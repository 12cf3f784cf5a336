use std::{io, path::PathBuf};

use super::*;
use crate::error::Exit;

fn text(failure: &Failure) -> String {
    explain(failure, "ferry").text(&failure.to_string())
}

#[test]
fn found_expected_to_do() {
    let failure = Failure::NotLoggedIn { path: PathBuf::from("/home/eve/.config/ferry/config.json") };
    let expected = "\
not logged in
  found     no /home/eve/.config/ferry/config.json
  expected  the credential that `ferry login` keeps there
  to do     ask an admin for a token (`ferry token create role operator NAME`), then: ferry login --server HOST:PORT TOKEN
";
    assert_eq!(text(&failure), expected);
    assert_eq!(failure.exit(), Exit::Identity);
}

#[test]
fn a_refused_connection() {
    let source = io::Error::new(io::ErrorKind::ConnectionRefused, "Connection refused (os error 111)");
    let failure = Failure::Connect { server: "127.0.0.1:7443".into(), source };
    let expected = "\
cannot reach the controller at 127.0.0.1:7443
  found     Connection refused (os error 111)
  expected  a controller listening on 127.0.0.1:7443
  to do     see whether it runs and says `listening on …`, whether the address is right (--server), and \
whether a firewall is between; migrations go on without this command
";
    assert_eq!(text(&failure), expected);
    assert_eq!((failure.exit(), failure.is_retryable()), (Exit::Failed, true));
}

#[test]
fn what_the_controller_says_is_shown_without_control_characters() {
    let status = |source: tonic::Status| Failure::Status {
        call: Call::Start,
        server: "h:1".into(),
        identity: "spiffe://ferry.local/role/viewer/eve".into(),
        source: Box::new(source),
    };
    let denied = status(tonic::Status::permission_denied("no\u{1b}[2J"));
    assert!(text(&denied).contains("found     no\u{fffd}[2J\n"), "{}", text(&denied));
    assert!(text(&denied).contains("role operator or higher; you are spiffe://ferry.local/role/viewer/eve"));
    assert_eq!((denied.exit(), denied.is_retryable()), (Exit::Identity, false));
    let gone = status(tonic::Status::not_found("no StatefulSet db/etcd in east"));
    assert_eq!(text(&gone), "starting the migration failed\n  found     no StatefulSet db/etcd in east\n");
    assert_eq!((gone.exit(), gone.is_retryable()), (Exit::Failed, false));
}
