//! Reads for the plan: each object as a typed value to decide on and as the JSON it came in, to carry on.
//!
//! Both are needed: checks read fields by name, while a manifest that crosses to another cluster has to keep fields
//! that this build's schema does not know. Every read goes without a resourceVersion, so the API server answers from
//! a quorum; every list is paged and filtered page by page, so that a cluster of 100,000 volumes costs one page of
//! memory plus what is kept. A kind that the cluster does not serve, and one that the agent may not read, are told
//! apart from an empty list ([`Optional`]): a check that could not look must say so.

use std::fmt::Debug;

use k8s_openapi::{ClusterResourceScope, NamespaceResourceScope};
use kube::{
    Api, Resource,
    api::{ApiResource, DynamicObject, ListParams, ObjectList},
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{context::Context, limits, outcome::Stop};

/// An object, typed and whole.
#[derive(Clone, Debug)]
pub(crate) struct Seen<T> {
    /// What this build's schema knows of it.
    pub object: T,
    /// All of it, as the API server gave it, with `apiVersion` and `kind`.
    pub json: Value,
}

/// A list of a kind that may not be installed or not be readable.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Optional<T> {
    /// What there is.
    Read(Vec<T>),
    /// The cluster does not serve this kind.
    NotInstalled,
    /// The agent may not read it: what the API server said.
    Denied(String),
}

impl<T> Optional<T> {
    /// Each as something else.
    pub(crate) fn map<U>(self, to: impl FnMut(T) -> U) -> Optional<U> {
        match self {
            Self::Read(all) => Optional::Read(all.into_iter().map(to).collect()),
            Self::NotInstalled => Optional::NotInstalled,
            Self::Denied(said) => Optional::Denied(said),
        }
    }

    /// What could be read; nothing where nothing could.
    pub(crate) fn known(&self) -> &[T] {
        match self {
            Self::Read(all) => all,
            Self::NotInstalled | Self::Denied(_) => &[],
        }
    }
}

/// A kind whose scope the schema knows: how to reach it with and without a namespace.
pub(crate) trait Kind: Resource<DynamicType = ()> + DeserializeOwned + Clone + Debug {}
impl<T: Resource<DynamicType = ()> + DeserializeOwned + Clone + Debug> Kind for T {}

/// One object of a namespace; nothing if it does not exist.
pub(crate) async fn get<T>(ctx: &Context, namespace: &str, name: &str) -> Result<Option<Seen<T>>, Stop>
where
    T: Kind + k8s_openapi::Resource<Scope = NamespaceResourceScope>,
{
    one(ctx, Api::namespaced_with(ctx.client.clone(), namespace, &ApiResource::erase::<T>(&())), name).await
}

/// One object without a namespace; nothing if it does not exist.
pub(crate) async fn get_global<T>(ctx: &Context, name: &str) -> Result<Option<Seen<T>>, Stop>
where
    T: Kind + k8s_openapi::Resource<Scope = ClusterResourceScope>,
{
    one(ctx, Api::all_with(ctx.client.clone(), &ApiResource::erase::<T>(&())), name).await
}

/// Those objects of a namespace that `keep` wants.
pub(crate) async fn list<T>(
    ctx: &Context,
    namespace: &str,
    keep: impl Fn(&T) -> bool,
) -> Result<Vec<Seen<T>>, Stop>
where
    T: Kind + k8s_openapi::Resource<Scope = NamespaceResourceScope>,
{
    pages(ctx, Api::namespaced_with(ctx.client.clone(), namespace, &ApiResource::erase::<T>(&())), keep).await
}

/// Those objects without a namespace that `keep` wants.
pub(crate) async fn list_global<T>(ctx: &Context, keep: impl Fn(&T) -> bool) -> Result<Vec<Seen<T>>, Stop>
where
    T: Kind + k8s_openapi::Resource<Scope = ClusterResourceScope>,
{
    pages(ctx, Api::all_with(ctx.client.clone(), &ApiResource::erase::<T>(&())), keep).await
}

/// All objects of a namespace of a kind that may not be installed (a custom resource).
pub(crate) async fn list_optional(
    ctx: &Context,
    namespace: &str,
    resource: &ApiResource,
) -> Result<Optional<Value>, Stop> {
    let api = Api::namespaced_with(ctx.client.clone(), namespace, resource);
    answers(ctx, api, resource, Ok, |_| true).await
}

/// All objects without a namespace of a kind that may not be installed.
pub(crate) async fn list_optional_global(
    ctx: &Context,
    resource: &ApiResource,
) -> Result<Optional<Value>, Stop> {
    answers(ctx, Api::all_with(ctx.client.clone(), resource), resource, Ok, |_| true).await
}

/// All objects of a namespace of a kind that the agent may not be allowed to list.
pub(crate) async fn permitted<T>(ctx: &Context, namespace: &str) -> Result<Optional<Seen<T>>, Stop>
where
    T: Kind + k8s_openapi::Resource<Scope = NamespaceResourceScope>,
{
    let resource = ApiResource::erase::<T>(&());
    let api = Api::namespaced_with(ctx.client.clone(), namespace, &resource);
    answers(ctx, api, &resource, |json| typed(json, &resource), |_| true).await
}

/// All objects without a namespace of a kind that the agent may not be allowed to list.
pub(crate) async fn permitted_global<T>(ctx: &Context) -> Result<Optional<Seen<T>>, Stop>
where
    T: Kind + k8s_openapi::Resource<Scope = ClusterResourceScope>,
{
    let resource = ApiResource::erase::<T>(&());
    let api = Api::all_with(ctx.client.clone(), &resource);
    answers(ctx, api, &resource, |json| typed(json, &resource), |_| true).await
}

/// Those objects of all namespaces that `keep` wants, of a kind that the agent may not be allowed to list there.
pub(crate) async fn permitted_everywhere<T>(
    ctx: &Context,
    keep: impl Fn(&T) -> bool,
) -> Result<Optional<Seen<T>>, Stop>
where
    T: Kind + k8s_openapi::Resource<Scope = NamespaceResourceScope>,
{
    let resource = ApiResource::erase::<T>(&());
    let api = Api::all_with(ctx.client.clone(), &resource);
    answers(ctx, api, &resource, |json| typed(json, &resource), |seen: &Seen<T>| keep(&seen.object)).await
}

async fn answers<T>(
    ctx: &Context,
    api: Api<DynamicObject>,
    resource: &ApiResource,
    to: impl Fn(Value) -> Result<T, Stop>,
    keep: impl Fn(&T) -> bool,
) -> Result<Optional<T>, Stop> {
    let mut kept = Vec::new();
    let mut params = ListParams::default().limit(limits::LIST_PAGE);
    loop {
        let page = match ctx.read(what(resource, "list"), || answered(&api, &params)).await? {
            Answer::Page(page) => page,
            Answer::NotInstalled => return Ok(Optional::NotInstalled),
            Answer::Denied(said) => return Ok(Optional::Denied(said)),
        };
        let next = page.metadata.continue_.clone().filter(|token| !token.is_empty());
        for object in page.items {
            let object = to(whole(&object, resource)?)?;
            if keep(&object) {
                kept.push(object);
            }
        }
        bounded(kept.len(), resource)?;
        match next {
            Some(token) => params.continue_token = Some(token),
            None => return Ok(Optional::Read(kept)),
        }
    }
}

/// Whether an object exists, without reading its contents (for Secrets); an error text where it may not be asked.
pub(crate) async fn exists<T>(ctx: &Context, namespace: &str, name: &str) -> Result<Exists, Stop>
where
    T: Kind + k8s_openapi::Resource<Scope = NamespaceResourceScope>,
{
    let resource = ApiResource::erase::<T>(&());
    let api: Api<DynamicObject> = Api::namespaced_with(ctx.client.clone(), namespace, &resource);
    ctx.read(what(&resource, name), || async {
        match api.get_metadata_opt(name).await {
            Ok(Some(_)) => Ok(Exists::Yes),
            Ok(None) => Ok(Exists::No),
            Err(kube::Error::Api(status)) if status.code == 403 => Ok(Exists::Unknown(status.message)),
            Err(error) => Err(error),
        }
    })
    .await
}

/// Annotations of an object, without reading its contents (for Secrets); none of it where it is missing.
pub(crate) async fn annotations<T>(
    ctx: &Context,
    namespace: &str,
    name: &str,
) -> Result<Optional<(String, String)>, Stop>
where
    T: Kind + k8s_openapi::Resource<Scope = NamespaceResourceScope>,
{
    let resource = ApiResource::erase::<T>(&());
    let api: Api<DynamicObject> = Api::namespaced_with(ctx.client.clone(), namespace, &resource);
    ctx.read(what(&resource, name), || async {
        match api.get_metadata_opt(name).await {
            Ok(found) => {
                let all = found.and_then(|found| found.metadata.annotations).unwrap_or_default();
                Ok(Optional::Read(all.into_iter().collect()))
            }
            Err(kube::Error::Api(status)) if status.code == 403 => Ok(Optional::Denied(status.message)),
            Err(error) => Err(error),
        }
    })
    .await
}

/// Whether something is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Exists {
    /// It is.
    Yes,
    /// It is not.
    No,
    /// It may not be asked: what the API server said.
    Unknown(String),
}

enum Answer {
    Page(ObjectList<DynamicObject>),
    NotInstalled,
    Denied(String),
}

async fn answered(api: &Api<DynamicObject>, params: &ListParams) -> kube::Result<Answer> {
    match api.list(params).await {
        Ok(page) => Ok(Answer::Page(page)),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(Answer::NotInstalled),
        Err(kube::Error::Api(status)) if status.code == 403 => Ok(Answer::Denied(status.message)),
        Err(error) => Err(error),
    }
}

async fn one<T: Kind>(ctx: &Context, api: Api<DynamicObject>, name: &str) -> Result<Option<Seen<T>>, Stop> {
    let resource = ApiResource::erase::<T>(&());
    let found = ctx.read(what(&resource, name), || api.get_opt(name)).await?;
    found.map(|object| seen(&object, &resource)).transpose()
}

async fn pages<T: Kind>(
    ctx: &Context,
    api: Api<DynamicObject>,
    keep: impl Fn(&T) -> bool,
) -> Result<Vec<Seen<T>>, Stop> {
    let resource = ApiResource::erase::<T>(&());
    let mut kept = Vec::new();
    let mut params = ListParams::default().limit(limits::LIST_PAGE);
    loop {
        let page = ctx.read(what(&resource, "list"), || api.list(&params)).await?;
        let next = page.metadata.continue_.clone().filter(|token| !token.is_empty());
        for object in page.items {
            let seen = seen::<T>(&object, &resource)?;
            if keep(&seen.object) {
                kept.push(seen);
            }
        }
        bounded(kept.len(), &resource)?;
        match next {
            Some(token) => params.continue_token = Some(token),
            None => return Ok(kept),
        }
    }
}

fn seen<T: Kind>(object: &DynamicObject, resource: &ApiResource) -> Result<Seen<T>, Stop> {
    typed(whole(object, resource)?, resource)
}

fn typed<T: Kind>(json: Value, resource: &ApiResource) -> Result<Seen<T>, Stop> {
    let object = serde_json::from_value(json.clone()).map_err(|error| unreadable(resource, &error))?;
    Ok(Seen { object, json })
}

/// Items of a list come without `apiVersion` and `kind`; a manifest needs them.
fn whole(object: &DynamicObject, resource: &ApiResource) -> Result<Value, Stop> {
    let mut json = serde_json::to_value(object).map_err(|error| unreadable(resource, &error))?;
    json["apiVersion"] = Value::from(resource.api_version.as_str());
    json["kind"] = Value::from(resource.kind.as_str());
    Ok(json)
}

fn bounded(kept: usize, resource: &ApiResource) -> Result<(), Stop> {
    if kept <= limits::LIST_KEPT {
        return Ok(());
    }
    Err(Stop::conflict(format!(
        "More than {} objects of kind {} concern this workload, expected at most that many. Split the namespace.",
        limits::LIST_KEPT,
        resource.kind
    )))
}

fn unreadable(resource: &ApiResource, error: &serde_json::Error) -> Stop {
    Stop::not_understood(format!(
        "The API server gave a {} that this agent cannot read: {error}. Upgrade the agent.",
        resource.kind
    ))
}

fn what(resource: &ApiResource, name: &str) -> String {
    format!("{}/{name}", resource.kind)
}
