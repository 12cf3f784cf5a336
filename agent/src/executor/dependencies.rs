//! What a pod template needs, made in the target before anything else (handoff.md section 4, D).
//!
//! ConfigMaps, Services, the ServiceAccount and the PodDisruptionBudget travel with the workload's description;
//! Secrets never do. What exists already must have the same contents (H23, H29): a difference is refused by its
//! place, nothing is overwritten. The PodDisruptionBudget is made as the integer 0 with its original in an annotation;
//! from then on the budget's share is the ledger's to say.

use serde_json::{Value, json};

use super::{
    api::{self, BUDGET, CONFIG_MAP, Halt, Halted, Key, Kind, NAMESPACE, SERVICE, SERVICE_ACCOUNT, Written},
    budget,
    object::{self, FERRY, MANAGED_BY},
    travel,
};
use crate::{context::Context, outcome::Stop};

/// Kinds that travel.
const TRAVELLING: [Kind; 4] = [CONFIG_MAP, SERVICE, SERVICE_ACCOUNT, BUDGET];
/// What every namespace has of its own cluster.
const ROOT_CA: &str = "kube-root-ca.crt";

/// The workload's namespace exists when this returns.
pub(crate) async fn namespace(ctx: &Context) -> Halted<()> {
    let key = Key::of(ctx, NAMESPACE, ctx.command.namespace.clone());
    match api::read(ctx, &key).await? {
        Some(namespace)
            if object::is_ending(&namespace)
                || object::text(&namespace, "/status/phase") == "Terminating" =>
        {
            Err(Stop::conflict(format!("{key} is being deleted. Wait until it is gone, then start again"))
                .into())
        }
        Some(_) => Ok(()),
        None => {
            let body = json!({
                "apiVersion": "v1", "kind": "Namespace",
                "metadata": {"name": key.name, "labels": {MANAGED_BY: FERRY}},
            });
            match api::create(ctx, &key, &body).await? {
                Written::Done(_) => Ok(()),
                other => Err(not_created(&key, &other)),
            }
        }
    }
}

/// The recorded object exists here with the same contents when this returns.
pub(crate) async fn place(ctx: &Context, recorded: &Value, epoch: u64) -> Halted<()> {
    let Some(kind) = TRAVELLING.into_iter().find(|kind| kind.kind == object::text(recorded, "/kind")) else {
        return Err(Stop::not_understood(format!(
            "The command asks for a {} to be made here; this agent makes ConfigMaps, Services, ServiceAccounts and \
             PodDisruptionBudgets",
            object::text(recorded, "/kind")
        ))
        .into());
    };
    let key = Key::of(ctx, kind, object::name(recorded));
    if kind == CONFIG_MAP && key.name == ROOT_CA {
        return Ok(());
    }
    let wanted = wanted(ctx, kind, recorded, epoch);
    match api::read(ctx, &key).await? {
        Some(found) if object::is_ending(&found) => {
            Err(Stop::not_ready(format!("{key} is being deleted; it is made when that is over")).into())
        }
        Some(found) => Ok(same(&key, &wanted, &found)?),
        None => match api::create(ctx, &key, &wanted).await? {
            Written::Done(_) => Ok(()),
            other => Err(not_created(&key, &other)),
        },
    }
}

fn wanted(ctx: &Context, kind: Kind, recorded: &Value, epoch: u64) -> Value {
    let mut copy = travel::dependency(recorded, &ctx.command.namespace, epoch);
    object::mark(&mut copy, &ctx.command.migration);
    if kind == BUDGET {
        let original = budget::original(recorded).to_string();
        if let Some(annotations) = copy.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
            annotations.insert(budget::ORIGINAL.into(), original.into());
        }
        if let Some(spec) = copy.pointer_mut("/spec").and_then(Value::as_object_mut) {
            spec.remove("minAvailable");
            spec.insert("maxUnavailable".into(), 0.into());
        }
    }
    copy
}

fn same(key: &Key, wanted: &Value, found: &Value) -> Result<(), Stop> {
    let difference = if key.kind == BUDGET {
        let (a, b) = (budget::original(wanted), budget::original(found));
        let amount = travel::first_difference("/spec (before Ferry)".into(), &a, &b);
        let selector = |budget: &Value| budget.pointer("/spec/selector").cloned().unwrap_or_default();
        amount.or_else(|| {
            travel::first_difference("/spec/selector".into(), &selector(wanted), &selector(found))
        })
    } else {
        travel::difference(wanted, found)
    };
    let Some((path, wanted, found)) = difference else { return Ok(()) };
    Err(Stop::conflict(format!(
        "{key} exists here and differs from the source's at {path}: found {found}, expected {wanted}. Make it the \
         same, or delete it and let Ferry make it"
    )))
}

/// What a creation that was not done means.
pub(crate) fn not_created(key: &Key, written: &Written) -> Halt {
    match written {
        Written::Unfit(message) => {
            Stop::conflict(format!("The API server calls {key} invalid: {message}")).into()
        }
        Written::Missing => {
            Stop::conflict(format!("{key} cannot be made: what it needs does not exist")).into()
        }
        _ => Halt::Again(format!("{key} was created by somebody else meanwhile")),
    }
}
