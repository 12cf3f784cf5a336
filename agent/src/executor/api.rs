//! Calls to the API server, on objects as JSON.
//!
//! Executors carry objects from one cluster to another, so they handle them whole: a field that this build's types
//! do not know must survive. Every read is a quorum read (no resourceVersion is sent); a missing object is an answer,
//! not an error.
//!
//! A write never guesses. What the API server answered clearly comes back as [`Written`]; an answer that was lost
//! ends the attempt with [`Halt::Again`], and the executor begins again from what the cluster shows (I8). The same
//! path serves a lost race: [`amend`] changes an object only as it was read, by a JSON Patch that tests its uid and
//! resourceVersion. That a 422 may be a failed test or a bad patch is settled here, by reading again.

use std::{fmt, future::Future};

use ferry_proto::agent::v1::RefusalCode;
use kube::core::{
    Request,
    params::{DeleteParams, GetParams, ListParams, PostParams, Preconditions},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::object;
use crate::{
    context::Context,
    limits,
    outcome::{Class, Stop, classify, said},
    progress::hold,
};

/// Who the API server says wrote a field.
pub(crate) const FIELD_MANAGER: &str = "ferry-agent";

/// A kind of object and where the API server serves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    /// `apiVersion`.
    pub api_version: &'static str,
    /// `kind`.
    pub kind: &'static str,
    /// Resource name in paths.
    pub plural: &'static str,
    /// Whether it lives in a namespace.
    pub namespaced: bool,
}

impl Kind {
    const fn new(
        api_version: &'static str,
        kind: &'static str,
        plural: &'static str,
        namespaced: bool,
    ) -> Self {
        Self { api_version, kind, plural, namespaced }
    }

    /// Where the API server serves it.
    pub(crate) fn path(self, namespace: &str) -> String {
        let root = if self.api_version.contains('/') { "apis" } else { "api" };
        if self.namespaced {
            format!("/{root}/{}/namespaces/{namespace}/{}", self.api_version, self.plural)
        } else {
            format!("/{root}/{}/{}", self.api_version, self.plural)
        }
    }
}

/// apps/v1 StatefulSet.
pub(crate) const STATEFUL_SET: Kind = Kind::new("apps/v1", "StatefulSet", "statefulsets", true);
/// Pod.
pub(crate) const POD: Kind = Kind::new("v1", "Pod", "pods", true);
/// PersistentVolumeClaim.
pub(crate) const CLAIM: Kind = Kind::new("v1", "PersistentVolumeClaim", "persistentvolumeclaims", true);
/// PersistentVolume.
pub(crate) const VOLUME: Kind = Kind::new("v1", "PersistentVolume", "persistentvolumes", false);
/// VolumeAttachment.
pub(crate) const ATTACHMENT: Kind =
    Kind::new("storage.k8s.io/v1", "VolumeAttachment", "volumeattachments", false);
/// Node.
pub(crate) const NODE: Kind = Kind::new("v1", "Node", "nodes", false);
/// Lease.
pub(crate) const LEASE: Kind = Kind::new("coordination.k8s.io/v1", "Lease", "leases", true);
/// StorageClass.
pub(crate) const CLASS: Kind = Kind::new("storage.k8s.io/v1", "StorageClass", "storageclasses", false);
/// PodDisruptionBudget.
pub(crate) const BUDGET: Kind = Kind::new("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets", true);
/// ConfigMap.
pub(crate) const CONFIG_MAP: Kind = Kind::new("v1", "ConfigMap", "configmaps", true);
/// Service.
pub(crate) const SERVICE: Kind = Kind::new("v1", "Service", "services", true);
/// ServiceAccount.
pub(crate) const SERVICE_ACCOUNT: Kind = Kind::new("v1", "ServiceAccount", "serviceaccounts", true);
/// Namespace.
pub(crate) const NAMESPACE: Kind = Kind::new("v1", "Namespace", "namespaces", false);
/// Job.
pub(crate) const JOB: Kind = Kind::new("batch/v1", "Job", "jobs", true);
/// Event, as the kubelet and the scheduler write it.
pub(crate) const EVENT: Kind = Kind::new("v1", "Event", "events", true);

/// ValidatingAdmissionPolicy.
pub(crate) const POLICY: Kind = Kind::new(
    "admissionregistration.k8s.io/v1",
    "ValidatingAdmissionPolicy",
    "validatingadmissionpolicies",
    false,
);
/// ValidatingAdmissionPolicyBinding.
pub(crate) const BINDING: Kind = Kind::new(
    "admissionregistration.k8s.io/v1",
    "ValidatingAdmissionPolicyBinding",
    "validatingadmissionpolicybindings",
    false,
);

/// One object's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace; empty for a kind that has none.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl Key {
    /// `name` in the command's namespace (which a cluster-wide kind ignores).
    pub(crate) fn of(ctx: &Context, kind: Kind, name: impl Into<String>) -> Self {
        Self::within(kind, &ctx.command.namespace, name)
    }

    /// `name` in `namespace`.
    pub(crate) fn within(kind: Kind, namespace: &str, name: impl Into<String>) -> Self {
        let namespace = if kind.namespaced { namespace.to_owned() } else { String::new() };
        Self { kind, namespace, name: name.into() }
    }

    fn path(&self) -> Request {
        Request::new(self.kind.path(&self.namespace))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.kind.namespaced {
            write!(f, "{} {}/{}", self.kind.kind, self.namespace, self.name)
        } else {
            write!(f, "{} {}", self.kind.kind, self.name)
        }
    }
}

/// Why an attempt of an executor ended.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Halt {
    /// The command ends like this.
    Stop(Stop),
    /// The answer to a write was lost, or somebody else was faster: begin again from what the cluster shows.
    Again(String),
}

impl From<Stop> for Halt {
    fn from(stop: Stop) -> Self {
        Self::Stop(stop)
    }
}

/// Result of a part of an executor.
pub(crate) type Halted<T> = Result<T, Halt>;

/// What the API server answered to a write.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Written {
    /// Done; the object as it is now (of a deletion: as it was, or a status).
    Done(Value),
    /// An object of that name exists.
    Exists,
    /// There is no such object.
    Missing,
    /// A precondition does not hold.
    Changed,
    /// The request does not fit the object: a failed `test`, or an invalid value. What was said.
    Unfit(String),
}

/// The object, or nothing if it does not exist.
pub(crate) async fn read(ctx: &Context, key: &Key) -> Result<Option<Value>, Stop> {
    let answer = ctx
        .read(key, || async {
            let request =
                key.path().get(&key.name, &GetParams::default()).map_err(kube::Error::BuildRequest)?;
            match send::<Value>(ctx, request).await {
                Err(error) if classify(&error) == Class::Missing => Ok(None),
                other => other.map(Some),
            }
        })
        .await?;
    Ok(answer)
}

/// Every object of `kind` (in the command's namespace, if it has one) that `fields` selects; empty selects all.
pub(crate) async fn list(ctx: &Context, kind: Kind, fields: &str) -> Result<Vec<Value>, Stop> {
    let path = Request::new(kind.path(&ctx.command.namespace));
    let mut items = Vec::new();
    let mut token = String::new();
    let what = format!("the list of {}", kind.plural);
    for _ in 0..limits::LIST_PAGES {
        let page: Value = ctx
            .read(&what, || async {
                let mut params = ListParams::default().limit(limits::LIST_PAGE);
                if !fields.is_empty() {
                    params = params.fields(fields);
                }
                if !token.is_empty() {
                    params = params.continue_token(&token);
                }
                let request = path.list(&params).map_err(kube::Error::BuildRequest)?;
                send(ctx, request).await
            })
            .await?;
        for item in page.pointer("/items").and_then(Value::as_array).into_iter().flatten() {
            let mut item = item.clone();
            if let Some(fields) = item.as_object_mut() {
                fields.insert("apiVersion".into(), kind.api_version.into());
                fields.insert("kind".into(), kind.kind.into());
            }
            items.push(item);
        }
        object::text(&page, "/metadata/continue").clone_into(&mut token);
        if token.is_empty() {
            return Ok(items);
        }
    }
    Err(Stop::unknown(format!(
        "There are more than {} {}: the list was not read to its end",
        limits::LIST_PAGES * limits::LIST_PAGE as usize,
        kind.plural
    )))
}

/// Creates `body`.
pub(crate) async fn create(ctx: &Context, key: &Key, body: &Value) -> Halted<Written> {
    let params = PostParams { field_manager: Some(FIELD_MANAGER.into()), ..PostParams::default() };
    write(ctx, "creating", key, key.path().create(&params, body.to_string().into_bytes())).await
}

/// Asks whether `body` would be created: what the API server said if admission or permissions refuse it.
pub(crate) async fn rehearse(ctx: &Context, key: &Key, body: &Value) -> Halted<Option<String>> {
    let params = PostParams { dry_run: true, field_manager: Some(FIELD_MANAGER.into()) };
    let said = write(ctx, "rehearsing", key, key.path().create(&params, body.to_string().into_bytes())).await;
    match said {
        Ok(Written::Unfit(message)) => Ok(Some(message)),
        Ok(_) => Ok(None),
        Err(Halt::Stop(Stop::Refused { code: RefusalCode::Denied, message, .. })) => Ok(Some(message)),
        Err(halt) => Err(halt),
    }
}

/// Who this agent is to the API server: its user name.
pub(crate) async fn who(ctx: &Context) -> Result<String, Stop> {
    let review = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}).to_string();
    let answer: Value = ctx
        .read("who this agent is", || async {
            // A question, and said to be one: nothing is kept of it in any case.
            let params = PostParams { dry_run: true, ..PostParams::default() };
            let request = Request::new("/apis/authentication.k8s.io/v1/selfsubjectreviews");
            let request =
                request.create(&params, review.clone().into_bytes()).map_err(kube::Error::BuildRequest)?;
            match send::<Value>(ctx, request).await {
                // Before Kubernetes 1.28, which has no guards either.
                Err(error) if classify(&error) == Class::Missing => Ok(Value::Null),
                other => other,
            }
        })
        .await?;
    Ok(object::text(&answer, "/status/userInfo/username").to_owned())
}

/// Whether the API server knows that kind.
pub(crate) async fn is_served(ctx: &Context, kind: Kind) -> Result<bool, Stop> {
    ctx.read(format!("whether {} are served", kind.plural), || async {
        let request = Request::new(kind.path("")).list(&ListParams::default().limit(1));
        let request = request.map_err(kube::Error::BuildRequest)?;
        match send::<Value>(ctx, request).await {
            Err(error) if classify(&error) == Class::Missing => Ok(false),
            other => other.map(|_| true),
        }
    })
    .await
}

/// Replaces the object by `body`, which carries the resourceVersion it was read with.
pub(crate) async fn replace(ctx: &Context, key: &Key, body: &Value) -> Halted<Written> {
    let params = PostParams { field_manager: Some(FIELD_MANAGER.into()), ..PostParams::default() };
    write(ctx, "replacing", key, key.path().replace(&key.name, &params, body.to_string().into_bytes())).await
}

/// Applies a JSON Patch.
pub(crate) async fn patch(ctx: &Context, key: &Key, operations: &[Value], dry_run: bool) -> Halted<Written> {
    // Built here: kube's own patches take a type of another version of the json-patch crate than ours.
    let dry_run = if dry_run { "&dryRun=All" } else { "" };
    let uri = format!("{}/{}?fieldManager={FIELD_MANAGER}{dry_run}", key.kind.path(&key.namespace), key.name);
    let request = http::Request::patch(uri)
        .header(http::header::CONTENT_TYPE, "application/json-patch+json")
        .header(http::header::ACCEPT, "application/json")
        .body(Value::Array(operations.to_vec()).to_string().into_bytes())
        .map_err(kube::core::request::Error::BuildRequest);
    write(ctx, "changing", key, request).await
}

/// Deletes the object if it still has that uid and, where one is given, that resourceVersion.
pub(crate) async fn delete(ctx: &Context, key: &Key, uid: &str, version: Option<&str>) -> Halted<Written> {
    let preconditions = Preconditions { uid: Some(uid.into()), resource_version: version.map(Into::into) };
    let params = DeleteParams::default().preconditions(preconditions);
    write(ctx, "deleting", key, key.path().delete(&key.name, &params)).await
}

/// Applies `changes` to the object exactly as `seen`; the object as it is then.
///
/// Somebody else's change in between is a lost race ([`Halt::Again`]), never overwritten.
pub(crate) async fn amend(ctx: &Context, key: &Key, seen: &Value, changes: Vec<Value>) -> Halted<Value> {
    let mut operations = vec![
        json!({"op": "test", "path": "/metadata/uid", "value": object::uid(seen)}),
        json!({"op": "test", "path": "/metadata/resourceVersion", "value": object::version(seen)}),
    ];
    operations.extend(changes);
    match patch(ctx, key, &operations, false).await? {
        Written::Done(now) => Ok(now),
        Written::Unfit(message) => match read(ctx, key).await? {
            Some(now)
                if object::uid(&now) == object::uid(seen)
                    && object::version(&now) == object::version(seen) =>
            {
                Err(Stop::conflict(format!("The API server calls the change of {key} invalid: {message}"))
                    .into())
            }
            _ => Err(Halt::Again(format!("{key} was changed by somebody else meanwhile"))),
        },
        Written::Exists | Written::Missing | Written::Changed => {
            Err(Halt::Again(format!("{key} was changed or deleted by somebody else meanwhile")))
        }
    }
}

async fn write(
    ctx: &Context,
    verb: &str,
    key: &Key,
    request: Result<http::Request<Vec<u8>>, kube::core::request::Error>,
) -> Halted<Written> {
    let request = request.map_err(|error| Stop::from(kube::Error::BuildRequest(error)))?;
    hold::at_write(verb, key.kind.plural).await;
    let error = match send(ctx, request).await {
        Ok(object) => return Ok(Written::Done(object)),
        Err(error) => error,
    };
    match classify(&error) {
        Class::Exists => Ok(Written::Exists),
        Class::Missing => Ok(Written::Missing),
        Class::Conflict => Ok(Written::Changed),
        Class::Invalid => Ok(Written::Unfit(said(&error))),
        Class::Ambiguous | Class::Busy | Class::Expired => {
            Err(Halt::Again(format!("{verb} {key} has no clear answer: {}", said(&error))))
        }
        Class::Denied | Class::NotSent => Err(Halt::Stop(error.into())),
    }
}

async fn send<T: DeserializeOwned>(ctx: &Context, request: http::Request<Vec<u8>>) -> kube::Result<T> {
    bounded(ctx.client.request::<T>(request)).await
}

async fn bounded<T>(request: impl Future<Output = kube::Result<T>>) -> kube::Result<T> {
    match tokio::time::timeout(limits::REQUEST_TIMEOUT, request).await {
        Ok(answer) => answer,
        Err(elapsed) => Err(kube::Error::Service(elapsed.into())),
    }
}
