use super::*;

fn parse(line: &str) -> Result<Cli, clap::Error> {
    use clap::FromArgMatches;
    let matches = command("ferry").try_get_matches_from(line.split_whitespace())?;
    Cli::from_arg_matches(&matches)
}

#[test]
fn the_definition_is_consistent() {
    command("kubectl ferry").debug_assert();
}

#[test]
fn a_statefulset_may_be_named_as_in_kubectl() {
    for name in ["statefulset/etcd", "sts/etcd", "statefulsets.apps/etcd", "StatefulSet/etcd", "etcd"] {
        assert_eq!(parse_workload(name).as_deref(), Ok("etcd"), "{name}");
    }
    for name in ["pod/etcd", "statefulset/", "sts/a/b", ""] {
        assert!(parse_workload(name).is_err(), "{name}");
    }
}

#[test]
fn flags_may_stand_anywhere() {
    let cli = parse("ferry -n db plan sts/etcd --to west -o json --timeout 5s").unwrap();
    assert_eq!(cli.global.namespace.as_deref(), Some("db"));
    assert_eq!(cli.global.output, Output::Json);
    assert_eq!(cli.global.timeout.0, Duration::from_secs(5));
    assert!(matches!(cli.verb, Verb::Plan(Plan { to, order: Order::HighestFirst, .. }) if to == "west"));
}

#[test]
fn wrong_lines_are_usage_errors() {
    for line in [
        "ferry",
        "ferry plan etcd",
        "ferry plan pod/etcd --to west",
        "ferry migrate etcd",
        "ferry migrate --plan abc",
        "ferry token create cluster east --ttl 8d",
        "ferry token create cluster east --ttl 1s",
        "ferry token create role root alice",
        "ferry version --timeout 0s",
        "ferry get -o yaml",
    ] {
        let error = parse(line).expect_err(line);
        assert_eq!(error.exit_code(), 2, "{line}");
    }
}

#[test]
fn help_speaks_with_the_name_it_was_called_by() {
    let mut command = command("kubectl ferry");
    let help = command.render_long_help().to_string();
    assert!(help.contains("kubectl ferry plan statefulset/etcd"), "{help}");
    assert!(!help.contains("$ferry"), "{help}");
    assert!(help.contains("130  interrupted"), "{help}");
}
