//! The rules one by one, then any sequence of requests from any seat against a model of the kernel.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use tonic::Code;

use super::super::limits::{DEFAULT_VOLUME_BYTES, MAX_VOLUME_BYTES, MIN_VOLUME_BYTES, STAGE_TIMEOUT};
use super::super::model::{AccessMode, ArrayState, Seat};
use super::super::refusal::Refusal;
use super::*;

const NONE: &[String] = &[];
const STAGING: &str = "/staging";
const TARGET: &str = "/target";

fn seats() -> [Seat; 3] {
    [Seat::new("east", "n1"), Seat::new("east", "n2"), Seat::new("west", "n1")]
}

/// An array with three nodes in two clusters and the volumes `a` and `b`.
fn array() -> ArrayState {
    let mut state = ArrayState { array_id: "array-1".to_owned(), ..ArrayState::default() };
    for seat in seats() {
        assert!(register_node(&mut state, &seat).changed);
    }
    for handle in ["a", "b"] {
        let request = CreateVolume { name: handle.into(), handle: handle.into(), ..CreateVolume::default() };
        assert!(create(&mut state, request).unwrap().changed);
    }
    state
}

fn attach_as(seat: &Seat, token: &str) -> Attach {
    Attach {
        handle: "a".to_owned(),
        node_id: seat.node_id(),
        cluster: seat.cluster.clone(),
        mode: AccessMode::SingleNodeMultiWriter,
        readonly: false,
        token: token.to_owned(),
    }
}

fn stage_as(seat: &Seat, token: &str) -> BeginStage {
    BeginStage {
        handle: "a".to_owned(),
        seat: seat.clone(),
        path: PathBuf::from(STAGING),
        flags: Vec::new(),
        token: Some(token.to_owned()),
        context_array: Some("array-1".to_owned()),
        has_secret: false,
        mounted_here: false,
        now_ms: 1,
    }
}

fn publish_as(seat: &Seat, target: &str) -> BeginPublish {
    BeginPublish {
        handle: "a".to_owned(),
        seat: seat.clone(),
        staging: PathBuf::from(STAGING),
        target: PathBuf::from(target),
        readonly: false,
        staging_mounted: true,
    }
}

/// Volume `a` attached, staged and published on the first seat.
fn in_use() -> (ArrayState, Seat) {
    let (mut state, [seat, ..]) = (array(), seats());
    attach(&mut state, attach_as(&seat, "t"), NONE).unwrap();
    begin_stage(&mut state, stage_as(&seat, "t"), NONE).unwrap();
    confirm_stage(&mut state, "a", &seat, "t").unwrap();
    begin_publish(&mut state, publish_as(&seat, TARGET)).unwrap();
    confirm_publish(&mut state, "a", &seat, Path::new(TARGET)).unwrap();
    (state, seat)
}

fn assert_violation(refused: &Refusal) {
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
    assert!(refused.violation().is_some(), "{refused}");
}

fn assert_harmless(refused: &Refusal, code: Code) {
    assert_eq!(refused.code(), code, "{refused}");
    assert_eq!(refused.violation(), None, "{refused}");
}

#[test]
fn a_second_attach_is_a_violation_in_both_clusters() {
    let (state, _) = in_use();
    for other in &seats()[1..] {
        let mut copy = state.clone();
        assert_violation(&attach(&mut copy, attach_as(other, "u"), NONE).unwrap_err());
        assert_eq!(copy, state);
    }
}

#[test]
fn a_repeated_attach_keeps_its_token_and_its_properties() {
    let (mut state, seat) = in_use();
    let again = attach(&mut state, attach_as(&seat, "new"), NONE).unwrap();
    assert_eq!((again.value.as_str(), again.changed), ("t", false));
    let other = Attach { readonly: true, ..attach_as(&seat, "new") };
    assert_harmless(&attach(&mut state, other, NONE).unwrap_err(), Code::AlreadyExists);
}

#[test]
fn an_attach_to_a_node_of_another_cluster_is_refused() {
    let (mut state, [_, _, west]) = (array(), seats());
    let request = Attach { cluster: "east".to_owned(), ..attach_as(&west, "t") };
    assert_harmless(&attach(&mut state, request, NONE).unwrap_err(), Code::NotFound);
}

#[test]
fn a_free_volume_that_the_kernel_has_open_is_not_attached() {
    let (mut state, [seat, ..]) = (array(), seats());
    let devices = ["/dev/loop3".to_owned()];
    assert_violation(&attach(&mut state, attach_as(&seat, "t"), &devices).unwrap_err());
}

#[test]
fn a_stage_elsewhere_is_a_violation_even_with_the_right_token() {
    let (mut state, _) = in_use();
    let [_, _, west] = seats();
    assert_violation(&begin_stage(&mut state, stage_as(&west, "t"), NONE).unwrap_err());
}

#[test]
fn a_publish_elsewhere_is_a_violation() {
    let (mut state, _) = in_use();
    let [_, _, west] = seats();
    assert_violation(&begin_publish(&mut state, publish_as(&west, TARGET)).unwrap_err());
}

#[test]
fn a_stage_needs_attachment_token_context_and_secret() {
    let (mut state, [seat, ..]) = (array(), seats());
    assert_harmless(
        &begin_stage(&mut state, stage_as(&seat, "t"), NONE).unwrap_err(),
        Code::FailedPrecondition,
    );
    attach(&mut state, attach_as(&seat, "t"), NONE).unwrap();
    let stale = begin_stage(&mut state, stage_as(&seat, "of an earlier attachment"), NONE).unwrap_err();
    assert_harmless(&stale, Code::FailedPrecondition);
    let lost = BeginStage { context_array: None, ..stage_as(&seat, "t") };
    assert_harmless(&begin_stage(&mut state, lost, NONE).unwrap_err(), Code::InvalidArgument);
    state.volumes.get_mut("a").unwrap().requires_secret = true;
    let bare = begin_stage(&mut state, stage_as(&seat, "t"), NONE).unwrap_err();
    assert_harmless(&bare, Code::InvalidArgument);
    let secret = BeginStage { has_secret: true, ..stage_as(&seat, "t") };
    assert!(begin_stage(&mut state, secret, NONE).unwrap().changed);
}

#[test]
fn a_stage_confirmed_after_its_attachment_was_replaced_is_refused() {
    let (mut state, [seat, ..]) = (array(), seats());
    attach(&mut state, attach_as(&seat, "t"), NONE).unwrap();
    begin_stage(&mut state, stage_as(&seat, "t"), NONE).unwrap();
    let later = STAGE_TIMEOUT.as_millis() as u64 + 1;
    detach(&mut state, "a", "", "east", NONE, later).unwrap();
    attach(&mut state, attach_as(&seat, "u"), NONE).unwrap();
    assert!(confirm_stage(&mut state, "a", &seat, "t").is_err());
}

#[test]
fn a_detach_of_a_mounted_volume_is_a_violation() {
    let (mut state, seat) = in_use();
    let devices = ["/dev/loop0".to_owned()];
    assert_violation(&detach(&mut state, "a", &seat.node_id(), "east", &devices, 2).unwrap_err());
}

#[test]
fn a_detach_by_another_cluster_is_a_violation() {
    let (mut state, seat) = in_use();
    for node_id in [seat.node_id(), String::new()] {
        assert_violation(&detach(&mut state, "a", &node_id, "west", NONE, 2).unwrap_err());
    }
}

#[test]
fn a_detach_waits_for_a_stage_in_progress() {
    let (mut state, [seat, ..]) = (array(), seats());
    attach(&mut state, attach_as(&seat, "t"), NONE).unwrap();
    begin_stage(&mut state, stage_as(&seat, "t"), NONE).unwrap();
    let refused = detach(&mut state, "a", &seat.node_id(), "east", NONE, 2).unwrap_err();
    assert_harmless(&refused, Code::Aborted);
    let later = STAGE_TIMEOUT.as_millis() as u64 + 1;
    assert!(detach(&mut state, "a", &seat.node_id(), "east", NONE, later).unwrap().note.is_some());
}

#[test]
fn a_volume_of_a_node_that_lost_power_can_be_detached() {
    let (mut state, seat) = in_use();
    let gone = detach(&mut state, "a", &seat.node_id(), "east", NONE, 2).unwrap();
    assert_eq!(gone.value, Some(seat));
    assert!(gone.note.is_some());
    let [_, _, west] = seats();
    assert!(attach(&mut state, attach_as(&west, "u"), NONE).unwrap().changed);
}

#[test]
fn a_detach_from_where_it_is_not_changes_nothing() {
    let (mut state, _) = in_use();
    let before = state.clone();
    assert!(!detach(&mut state, "a", "west/n1", "west", NONE, 2).unwrap().changed);
    assert!(!detach(&mut state, "gone", "west/n1", "west", NONE, 2).unwrap().changed);
    assert_eq!(state, before);
}

#[test]
fn a_volume_in_use_is_not_deleted() {
    let (mut state, _) = in_use();
    assert_violation(&delete(&mut state, "a", NONE).unwrap_err());
    assert_violation(&delete(&mut state, "b", &["/dev/loop0".to_owned()]).unwrap_err());
    assert!(delete(&mut state, "b", NONE).unwrap().changed);
    assert!(!delete(&mut state, "b", NONE).unwrap().changed);
}

#[test]
fn a_single_writer_has_one_target() {
    let (mut state, seat) = in_use();
    assert!(begin_publish(&mut state, publish_as(&seat, "/second")).unwrap().changed);
    unpublish(&mut state, "a", &seat, Path::new("/second")).unwrap();
    state.volumes.get_mut("a").unwrap().attachment.as_mut().unwrap().mode =
        AccessMode::SingleNodeSingleWriter;
    let second = begin_publish(&mut state, publish_as(&seat, "/second")).unwrap_err();
    assert_harmless(&second, Code::FailedPrecondition);
    assert!(!begin_publish(&mut state, publish_as(&seat, TARGET)).unwrap().changed);
}

#[test]
fn an_unstage_waits_for_pods_and_for_the_kernel() {
    let (mut state, seat) = in_use();
    let still = unstage(&state, "a", &seat, |path| path == Path::new(TARGET)).unwrap_err();
    assert_harmless(&still, Code::FailedPrecondition);
    assert!(unstage(&state, "a", &seat, |_| false).unwrap().changed);
    let open = confirm_unstage(&mut state, "a", &seat, &["/dev/loop0".to_owned()]).unwrap_err();
    assert_harmless(&open, Code::FailedPrecondition);
    assert!(confirm_unstage(&mut state, "a", &seat, NONE).unwrap().changed);
    assert!(!confirm_unstage(&mut state, "a", &seat, NONE).unwrap().changed);
}

#[test]
fn a_creation_is_idempotent_by_name() {
    let mut state = array();
    let again = CreateVolume { name: "a".into(), handle: "other".into(), ..CreateVolume::default() };
    let created = create(&mut state, again.clone()).unwrap();
    assert_eq!((created.value.handle.as_str(), created.changed), ("a", false));
    let larger = CreateVolume { required_bytes: 2 * DEFAULT_VOLUME_BYTES, ..again.clone() };
    assert_harmless(&create(&mut state, larger).unwrap_err(), Code::AlreadyExists);
    let secret = CreateVolume { requires_secret: true, ..again };
    assert_harmless(&create(&mut state, secret).unwrap_err(), Code::AlreadyExists);
}

#[test]
fn sizes_fit_the_range_or_are_refused() {
    let good = [
        ((0, 0), DEFAULT_VOLUME_BYTES),
        ((0, MIN_VOLUME_BYTES + 1), MIN_VOLUME_BYTES),
        ((1, 0), MIN_VOLUME_BYTES),
        ((MIN_VOLUME_BYTES + 1, 0), MIN_VOLUME_BYTES + 4096),
        ((MAX_VOLUME_BYTES, MAX_VOLUME_BYTES), MAX_VOLUME_BYTES),
    ];
    for ((required, limit), size) in good {
        assert_eq!(volume_size(required, limit), Ok(size), "{required} to {limit}");
    }
    let bad =
        [(MAX_VOLUME_BYTES + 1, 0), (u64::MAX, 0), (1, 4096), (MIN_VOLUME_BYTES + 1, MIN_VOLUME_BYTES + 2)];
    for (required, limit) in bad {
        assert_eq!(
            volume_size(required, limit).unwrap_err().code(),
            Code::OutOfRange,
            "{required} to {limit}"
        );
    }
}

#[test]
fn a_volume_grows_and_never_shrinks() {
    let mut state = array();
    assert_eq!(grow(&mut state, "a", 2 * DEFAULT_VOLUME_BYTES, 0).unwrap().value, 2 * DEFAULT_VOLUME_BYTES);
    let smaller = grow(&mut state, "a", DEFAULT_VOLUME_BYTES, 0).unwrap();
    assert_eq!((smaller.value, smaller.changed), (2 * DEFAULT_VOLUME_BYTES, false));
    assert!(grow(&mut state, "a", DEFAULT_VOLUME_BYTES, DEFAULT_VOLUME_BYTES).is_err());
    let (mut held, _) = in_use();
    let refused = grow(&mut held, "a", 2 * DEFAULT_VOLUME_BYTES, 0).unwrap_err();
    assert_harmless(&refused, Code::FailedPrecondition);
    assert!(!grow(&mut held, "a", DEFAULT_VOLUME_BYTES, 0).unwrap().changed);
}

#[test]
fn pages_go_on_where_they_ended_also_after_deletions() {
    let mut state = array();
    let (first, token) = page(&state, "", 1).unwrap();
    assert_eq!(first.iter().map(|v| v.handle.as_str()).collect::<Vec<_>>(), ["a"]);
    delete(&mut state, "a", NONE).unwrap();
    let (second, end) = page(&state, &token, 1).unwrap();
    assert_eq!(second.iter().map(|v| v.handle.as_str()).collect::<Vec<_>>(), ["b"]);
    assert_eq!(end, "");
    for bad in ["invalid-token", "after-", "after-99"] {
        assert_harmless(&page(&state, bad, 0).unwrap_err(), Code::Aborted);
    }
}

/// One request of the property below: what, and from which seat.
#[derive(Clone, Copy, Debug)]
enum Step {
    Attach,
    Detach,
    BeginStage,
    Mount,
    ConfirmStage,
    Unmount,
    ConfirmUnstage,
    Publish,
    Delete,
    PowerCut,
}

fn step() -> impl Strategy<Value = (Step, usize)> {
    use Step::*;
    let any =
        [Attach, Detach, BeginStage, Mount, ConfirmStage, Unmount, ConfirmUnstage, Publish, Delete, PowerCut];
    (proptest::sample::select(any.to_vec()), 0..3_usize)
}

/// Which seats have the image mounted, as the kernel knows it, and with which token they were told to.
#[derive(Default)]
struct Kernel {
    told: BTreeMap<Seat, String>,
    mounted: Vec<Seat>,
}

impl Kernel {
    fn devices(&self) -> Vec<String> {
        self.mounted.iter().map(Seat::to_string).collect()
    }
}

/// Applies one step; a refusal that is a violation must mean that another seat holds the volume or has it open.
fn apply(
    state: &mut ArrayState,
    kernel: &mut Kernel,
    step: Step,
    seat: &Seat,
    n: usize,
) -> Result<(), Refusal> {
    let devices = kernel.devices();
    let here = kernel.mounted.contains(seat);
    let token = state.volumes.get("a").and_then(|v| v.attachment.as_ref()).map(|a| a.token.clone());
    match step {
        Step::Attach => attach(state, attach_as(seat, &format!("t{n}")), &devices).map(|_| ()),
        Step::Detach => detach(state, "a", &seat.node_id(), &seat.cluster, &devices, 2).map(|_| ()),
        Step::BeginStage => {
            let token = token.unwrap_or_default();
            let request = BeginStage { mounted_here: here, ..stage_as(seat, &token) };
            begin_stage(state, request, &devices).map(|_| {
                kernel.told.insert(seat.clone(), token);
            })
        }
        Step::Mount => {
            // A node mounts only after it was told to and before it has confirmed.
            if kernel.told.contains_key(seat) && !here {
                kernel.mounted.push(seat.clone());
            }
            Ok(())
        }
        Step::ConfirmStage => {
            let Some(token) = kernel.told.remove(seat) else { return Ok(()) };
            if !here {
                return abandon_stage(state, "a", seat).map(|_| ());
            }
            confirm_stage(state, "a", seat, &token).map(|_| ())
        }
        Step::Unmount => {
            kernel.mounted.retain(|s| s != seat || kernel.told.contains_key(s));
            Ok(())
        }
        Step::ConfirmUnstage if kernel.told.contains_key(seat) => Ok(()),
        Step::ConfirmUnstage => confirm_unstage(state, "a", seat, &devices).map(|_| ()),
        Step::Publish => {
            begin_publish(state, BeginPublish { staging_mounted: here, ..publish_as(seat, TARGET) })
                .map(|_| ())
        }
        Step::Delete => delete(state, "a", &devices).map(|_| ()),
        Step::PowerCut => {
            kernel.told.remove(seat);
            kernel.mounted.retain(|s| s != seat);
            Ok(())
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Whatever is asked, by whom, in which order: what is mounted is mounted by the holder alone.
    #[test]
    fn only_the_holder_has_the_volume_mounted(steps in proptest::collection::vec(step(), 1..60)) {
        let (mut state, mut kernel) = (array(), Kernel::default());
        for (n, (step, seat)) in steps.into_iter().enumerate() {
            let seat = &seats()[seat];
            let holder = state.volumes.get("a").and_then(|v| v.attachment.as_ref()).map(|a| a.seat.clone());
            let before = state.clone();
            if let Err(refused) = apply(&mut state, &mut kernel, step, seat, n) {
                prop_assert_eq!(&state, &before, "a refusal changes nothing");
                if refused.violation().is_some() {
                    let elsewhere = holder.is_some_and(|h| &h != seat);
                    prop_assert!(elsewhere || !kernel.mounted.is_empty() || matches!(step, Step::Delete));
                }
            }
            let holder = state.volumes.get("a").and_then(|v| v.attachment.as_ref()).map(|a| &a.seat);
            prop_assert!(kernel.mounted.iter().all(|m| Some(m) == holder), "{:?} mounted, {:?} holds", kernel.mounted, holder);
        }
    }
}
