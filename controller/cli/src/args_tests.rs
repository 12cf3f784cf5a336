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
fn ordinals_are_numbers_and_runs() {
    let ordinals = |text| control::parse_ordinals(text).map(|control::Ordinals(ordinals)| ordinals);
    assert_eq!(ordinals("2"), Ok(vec![2]));
    assert_eq!(ordinals("1-3"), Ok(vec![1, 2, 3]));
    assert_eq!(ordinals("3,0-1,1"), Ok(vec![0, 1, 3]));
    for bad in ["", "x", "1-", "-1", "2-1", "0-4000000000", "1,,2", "1-2-3"] {
        assert!(ordinals(bad).is_err(), "{bad}");
    }
}

#[test]
fn deadlines_name_a_step() {
    assert_eq!(control::parse_deadline("start=5m"), Ok((10, 300_000)));
    assert_eq!(control::parse_deadline("10=1s"), Ok((10, 1_000)));
    for bad in ["start", "start=", "start=0s", "start=8d", "begin=5m", "14=5m", "0=5m", "=5m"] {
        assert!(control::parse_deadline(bad).is_err(), "{bad}");
    }
    let unknown = control::parse_deadline("begin=5m").unwrap_err();
    assert!(unknown.contains("no step is called `begin`") && unknown.contains("detach"), "{unknown}");
}

#[test]
fn a_choice_is_the_same_for_plan_and_migrate() {
    let line = "--to west --ordinals 1-2 --storage-class a=b --storage-class c=d --deadline stop=1m";
    let choice = match parse(&format!("ferry plan etcd {line}")).unwrap().verb {
        Verb::Plan(plan) => plan.choice,
        other => panic!("{other:?}"),
    };
    assert_eq!(choice.ordinals(), [1, 2]);
    assert_eq!(choice.classes().len(), 2);
    assert_eq!(choice.deadlines()[&5], 60_000);
    assert!(matches!(parse(&format!("ferry migrate etcd {line}")).unwrap().verb, Verb::Migrate(_)));
}

#[test]
fn wrong_lines_are_usage_errors() {
    for line in [
        "ferry migrate --plan 5f2b8c0d4e7a91b3c6d8e0f1a2b4c6d8e0f2a4b6c8d0e2f4a6b8c0d2e4f6a8b0 --ordinals 2",
        "ferry plan etcd --to west --storage-class fast",
        "ferry storage map add east west fast=",
        "ferry storage domain set east csi.x",
        "ferry describe",
        "ferry audit --limit 0",
        "ferry completion tcsh",
        "ferry rollback --all",
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
