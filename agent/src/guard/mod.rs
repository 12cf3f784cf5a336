//! The guard (handoff.md section 6): admission policies that keep others' hands off a workload while Ferry moves it,
//! enforced by the API server whether or not anything of Ferry runs.
//!
//! One policy, one binding and one ConfigMap for each workload. [`stand`] puts them up and returns when the API server
//! refuses what they forbid: a policy takes up to a second to be enforced, so a dry run of a canary, which nobody may
//! create, is asked until it is refused. [`remove`] takes them away. Where the API server has no such policies (before
//! Kubernetes 1.30) there is no guard, the plan says so, and tombstones and epochs hold alone.
//!
//! A guard cannot guard itself: policies are not subject to policies. So what stands is noted ([`contents`]), watched
//! ([`watch`]), and put up again before the next ordinal. What is refused is in [`policy`]; who wrote an object that is
//! not as it should be is in [`blame`].

use serde_json::{Map, Value};
use tokio::time::Instant;

use crate::{
    context::Context,
    executor::{
        api::{self, BINDING, CLAIM, CONFIG_MAP, Halt, Halted, Key, POLICY, VOLUME, Written},
        epochs, object, tombstone,
    },
    limits,
    outcome::Stop,
};

pub(crate) mod blame;
pub(crate) mod contents;
pub(crate) mod policy;
pub(crate) mod watch;

pub(crate) use contents::{Contents, State};

/// Prefix of the ConfigMap's name; the workload's name follows.
pub(crate) const PREFIX: &str = "ferry-guard-";
/// Label of the ConfigMap that nobody may create; its value names a policy and a list.
pub(crate) const CANARY: &str = "ferry.dev/guard-canary";

/// Key of the state in the ConfigMap's data.
const STATE: &str = "state";
/// Key of the migration.
const MIGRATION: &str = "migration";
/// Key of the earlier migration whose guard this was, and is again when this one is taken back.
const KEPT: &str = "kept";
/// Keys of the policy and the binding that belong to it, `<uid>/<generation>`.
const PARTS: [&str; 2] = ["policy", "binding"];

/// Name of a workload's ConfigMap.
pub(crate) fn map_name(workload: &str) -> String {
    format!("{PREFIX}{workload}")
}

/// The guard of the command's workload as the cluster has it.
struct Found {
    map: Option<Value>,
    policy: Option<Value>,
    binding: Option<Value>,
}

struct Keys {
    map: Key,
    policy: Key,
    binding: Key,
}

impl Keys {
    fn of(ctx: &Context) -> Self {
        let name = policy::name(&ctx.command.namespace, &ctx.command.workload);
        Self {
            map: Key::of(ctx, CONFIG_MAP, map_name(&ctx.command.workload)),
            policy: Key::of(ctx, POLICY, name.clone()),
            binding: Key::of(ctx, BINDING, name),
        }
    }

    async fn read(&self, ctx: &Context) -> Result<Found, Stop> {
        let (map, policy, binding) = futures::try_join!(
            api::read(ctx, &self.map),
            api::read(ctx, &self.policy),
            api::read(ctx, &self.binding),
        )?;
        Ok(Found { map, policy, binding })
    }
}

impl Found {
    fn data(&self) -> Map<String, Value> {
        let data = self.map.as_ref().and_then(|map| map.pointer("/data")).and_then(Value::as_object);
        data.cloned().unwrap_or_default()
    }

    fn parts(&self) -> [&Option<Value>; 2] {
        [&self.policy, &self.binding]
    }

    /// Whether it stands as this agent would put it up for `wanted`.
    fn is_whole(&self, wanted: &Map<String, Value>) -> bool {
        let parts = PARTS.iter().zip(self.parts());
        let mut noted = parts.map(|(key, part)| (wanted.get(*key).and_then(Value::as_str), part));
        self.data() == *wanted
            && noted.all(|(noted, part)| noted.is_some() && part.as_ref().map(version).as_deref() == noted)
    }
}

/// Which version of a policy or binding it is: changes of its metadata do not count.
pub(crate) fn version(part: &Value) -> String {
    format!("{}/{}", object::uid(part), object::number(part, "/metadata/generation"))
}

/// The guard stands and is enforced, for `contents` and whatever it guarded before, when this returns; whether it had
/// to be put up or changed. Where the API server has no policies, there is none, and that is said.
///
/// # Errors
/// Not ready if it is not enforced within [`limits::GUARD_WAIT`]; denied if the agent may not write it.
pub(crate) async fn stand(ctx: &Context, step: u32, mut contents: Contents) -> Halted<bool> {
    let keys = Keys::of(ctx);
    let found = keys.read(ctx).await?;
    if found.map.is_none() && contents.volumes.is_empty() {
        complete(ctx, &mut contents).await?;
    }
    let agent = api::who(ctx).await?;
    let (body, revision) = policy::policy(&ctx.command.namespace, &ctx.command.workload, &agent);
    let mut wanted = found.data();
    // What stands for another migration stays when this one is taken back.
    let before = text(&wanted, MIGRATION).to_owned();
    if !before.is_empty() && before != ctx.command.migration && text(&wanted, STATE) != State::Ending.text() {
        wanted.insert(KEPT.into(), before.into());
    }
    Contents::of(&wanted).and(contents).write(&mut wanted);
    wanted.insert("workload".into(), ctx.command.workload.clone().into());
    wanted.insert(MIGRATION.into(), ctx.command.migration.clone().into());
    wanted.insert("revision".into(), revision.clone().into());
    wanted.insert(STATE.into(), State::Standing.text().into());
    if found.is_whole(&wanted) {
        return Ok(false);
    }
    if found.policy.is_none() && !api::is_served(ctx, POLICY).await? {
        ctx.progress.waiting(step, "this API server has no ValidatingAdmissionPolicy: there is no guard");
        return Ok(false);
    }
    ctx.progress.waiting(step, format!("the guard {} to be enforced", keys.policy));
    let mut policy = found.policy.clone();
    if found.map.is_some() && found.binding.is_some() && text(&found.data(), "revision") != revision {
        // The list is guarded by the policy that stands, perhaps against this agent too: another name, or other rules.
        policy = Some(put(ctx, &keys.policy, policy.as_ref(), body.clone()).await?);
        asked(ctx, step, &format!("{revision}.{}", text(&found.data(), "digest")), true).await?;
    }
    wanted.insert(STATE.into(), State::Installing.text().into());
    let map = put(ctx, &keys.map, found.map.as_ref(), data_of(ctx, &keys.map, &wanted)).await?;
    let policy = put(ctx, &keys.policy, policy.as_ref(), body).await?;
    let binding = policy::binding(&ctx.command.namespace, &ctx.command.workload);
    let binding = put(ctx, &keys.binding, found.binding.as_ref(), binding).await?;
    asked(ctx, step, &format!("{revision}.{}", text(&wanted, "digest")), true).await?;
    wanted.insert(STATE.into(), State::Standing.text().into());
    for (key, part) in PARTS.iter().zip([&policy, &binding]) {
        wanted.insert((*key).to_owned(), version(part).into());
    }
    put(ctx, &keys.map, Some(&map), data_of(ctx, &keys.map, &wanted)).await?;
    Ok(true)
}

/// Takes in the disks of the claims that are here: for a list that is gone, whose names nobody has at hand.
async fn complete(ctx: &Context, contents: &mut Contents) -> Result<(), Stop> {
    for name in contents.claims.clone() {
        let claim = api::read(ctx, &Key::of(ctx, CLAIM, name)).await?;
        let Some(claim) = claim.filter(|claim| !tombstone::is(claim)) else { continue };
        let volume = Key::of(ctx, VOLUME, object::text(&claim, "/spec/volumeName"));
        if let Some(volume) = api::read(ctx, &volume).await? {
            contents.volumes.insert(object::name(&volume).to_owned());
            contents.add_disk(&object::volume_id(&volume));
        }
    }
    Ok(())
}

/// The guard of the command's workload is gone, and enforced no more, when this returns. Its list goes last, so that
/// nobody is refused by half of it.
pub(crate) async fn remove(ctx: &Context) -> Halted<()> {
    let keys = Keys::of(ctx);
    let found = keys.read(ctx).await?;
    if let Some(map) = &found.map {
        let mut data = found.data();
        data.insert(STATE.into(), State::Ending.text().into());
        put(ctx, &keys.map, Some(map), data_of(ctx, &keys.map, &data)).await?;
    }
    delete(ctx, &keys.binding, found.binding.as_ref()).await?;
    if found.map.is_some() {
        let data = found.data();
        let canary = format!("{}.{}", text(&data, "revision"), text(&data, "digest"));
        asked(ctx, 0, &canary, false).await?;
    }
    delete(ctx, &keys.policy, found.policy.as_ref()).await?;
    delete(ctx, &keys.map, found.map.as_ref()).await
}

async fn delete(ctx: &Context, key: &Key, found: Option<&Value>) -> Halted<()> {
    let Some(found) = found else { return Ok(()) };
    match api::delete(ctx, key, object::uid(found), None).await? {
        Written::Done(_) | Written::Missing => Ok(()),
        _ => Err(Halt::Again(format!("{key} was changed by somebody else meanwhile"))),
    }
}

/// What this migration changed of the guard is taken back: it is gone, unless it stood for an earlier migration; then it
/// is that one's again.
pub(crate) async fn take_back(ctx: &Context) -> Halted<()> {
    let keys = Keys::of(ctx);
    let Some(map) = api::read(ctx, &keys.map).await? else { return remove(ctx).await };
    let mut data = map.pointer("/data").and_then(Value::as_object).cloned().unwrap_or_default();
    if text(&data, MIGRATION) != ctx.command.migration {
        return Ok(());
    }
    match data.remove(KEPT) {
        None => remove(ctx).await,
        Some(earlier) => {
            data.insert(MIGRATION.into(), earlier);
            put(ctx, &keys.map, Some(&map), data_of(ctx, &keys.map, &data)).await.map(drop)
        }
    }
}

fn text<'a>(data: &'a Map<String, Value>, key: &str) -> &'a str {
    data.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn data_of(ctx: &Context, key: &Key, data: &Map<String, Value>) -> Value {
    contents::map(&ctx.command.namespace, &key.name, data)
}

/// The object is as `wanted` when this returns: made, or its contents replaced as it was `seen`; as it is then.
async fn put(ctx: &Context, key: &Key, seen: Option<&Value>, wanted: Value) -> Halted<Value> {
    // Not by a process that was paused until its command was one of the past.
    epochs::latest(ctx, &[]).await?;
    let written = match seen {
        None => api::create(ctx, key, &wanted).await?,
        Some(seen) => {
            let mut body = wanted;
            body["metadata"]["uid"] = object::uid(seen).into();
            body["metadata"]["resourceVersion"] = object::version(seen).into();
            api::replace(ctx, key, &body).await?
        }
    };
    match written {
        Written::Done(now) => Ok(now),
        Written::Unfit(message) => {
            Err(Stop::conflict(format!("The API server calls {key} invalid: {message}")).into())
        }
        _ => Err(Halt::Again(format!("{key} was changed by somebody else meanwhile"))),
    }
}

/// Asks until the API server refuses the canary of that policy and list, or, where it is not to, lets it pass.
async fn asked(ctx: &Context, step: u32, canary: &str, is_enforced: bool) -> Halted<()> {
    let key = Key::of(ctx, CONFIG_MAP, format!("{PREFIX}canary"));
    let mut body = contents::map(&ctx.command.namespace, &key.name, &Map::new());
    body["metadata"]["labels"][CANARY] = canary.into();
    let guard = policy::name(&ctx.command.namespace, &ctx.command.workload);
    let give_up = Instant::now() + limits::GUARD_WAIT;
    loop {
        let said = api::rehearse(ctx, &key, &body).await?;
        let is_so = match &said {
            Some(said) if is_enforced => said.contains(CANARY),
            // Whatever else refuses it, a quota perhaps, is no guard.
            Some(said) => !said.contains(&guard),
            None => !is_enforced,
        };
        if is_so {
            return Ok(());
        }
        if Instant::now() >= give_up {
            let (found, expected) = if is_enforced { ("stands", "refuses") } else { ("is gone", "accepts") };
            let said = said.unwrap_or_else(|| "it would be created".to_owned());
            return Err(Stop::not_ready(format!(
                "The guard {found}; {} s later the API server was expected to be one that {expected} {}, and says: \
                 {said}. See that its admission plugin ValidatingAdmissionPolicy is on and what else judges ConfigMaps",
                limits::GUARD_WAIT.as_secs(),
                key
            ))
            .at(step)
            .into());
        }
        tokio::time::sleep(limits::GUARD_POLL).await;
    }
}
