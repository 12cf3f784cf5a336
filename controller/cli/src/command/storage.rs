//! `ferry storage`: domains, mappings of StorageClasses, and the probe of what two clusters share.
//!
//! What is set holds for plans to come; a plan shows the mappings that it uses. After a change what was set is said in one
//! line, and nothing is listed: `list` does that. The role admin may set, any role may look.
//! Whether the names exist is not asked.

use ferry_proto::admin::v1::ProbeStorageRequest;

use crate::{
    admin::Admin,
    args::{Between, DomainVerb, MapVerb, ProbeArgs, StorageVerb},
    error::Failure,
    run::Context,
    shape::{List, StorageDomain, StorageMap},
    table, terminal,
};

pub(crate) async fn run(context: &Context, verb: StorageVerb) -> Result<(), Failure> {
    let mut admin = context.admin().await?;
    match verb {
        StorageVerb::Domain(verb) => domain(context, &mut admin, verb).await,
        StorageVerb::Map(verb) => map(context, &mut admin, verb).await,
        StorageVerb::Probe(args) => probe(context, &mut admin, args).await,
    }
}

async fn probe(context: &Context, admin: &mut Admin, args: ProbeArgs) -> Result<(), Failure> {
    let ProbeArgs { from, to, storage_class: (from_class, to_class), image } = args;
    let namespace = context.global.namespace.clone().unwrap_or_else(|| "default".to_owned());
    context.note(&format!(
        "Making a disk of {from_class} in {from}, namespace {namespace}, to be read in {to}; this may take minutes."
    ));
    let verdict = format!("A disk of {from_class} made in {from} was read in {to}.");
    let request = ProbeStorageRequest { from, to, namespace, from_class, to_class, image };
    let probe = admin.probe_storage(request).await?;
    if context.is_json() {
        return terminal::json(&probe, false);
    }
    let steps: String = probe.steps.iter().map(|step| format!("- {step}\n")).collect();
    terminal::out(&format!("{steps}{verdict}\n"))
}

async fn domain(context: &Context, admin: &mut Admin, verb: DomainVerb) -> Result<(), Failure> {
    let set = match verb {
        DomainVerb::List => {
            let domains = admin.storage_domains().await?;
            return list(
                context,
                domains,
                "No storage domains are set: drivers' names are the domains.",
                table::storage_domains,
            );
        }
        DomainVerb::Set { cluster, driver, domain } => StorageDomain { cluster, driver, domain },
        DomainVerb::Unset { cluster, driver } => StorageDomain { cluster, driver, domain: String::new() },
    };
    admin.set_storage_domain(set.clone()).await?;
    let domain = if set.domain.is_empty() { &set.driver } else { &set.domain };
    context.note(&format!("Driver {} in {} reaches the storage domain {domain}.", set.driver, set.cluster));
    Ok(())
}

async fn map(context: &Context, admin: &mut Admin, verb: MapVerb) -> Result<(), Failure> {
    let namespace = context.global.namespace.clone().unwrap_or_default();
    let of = |between: Between, from_class: String, to_class: String| {
        let Between { from, to } = between;
        StorageMap { from, to, namespace: namespace.clone(), from_class, to_class }
    };
    match verb {
        MapVerb::List => {
            let maps = admin.storage_maps().await?;
            let maps =
                maps.into_iter().filter(|map| namespace.is_empty() || map.namespace == namespace).collect();
            list(
                context,
                maps,
                "No mappings are set: StorageClasses are looked for under their own names.",
                table::storage_maps,
            )
        }
        MapVerb::Add { between, classes: (from, to) } => {
            let map = of(between, from, to);
            admin.add_storage_map(map.clone()).await?;
            context.note(&format!(
                "StorageClass {} of {} stands for {} of {}{}.",
                map.to_class,
                map.to,
                map.from_class,
                map.from,
                place(&map)
            ));
            Ok(())
        }
        MapVerb::Rm { between, class } => {
            let map = of(between, class, String::new());
            admin.remove_storage_map(map.clone()).await?;
            context.note(&format!(
                "StorageClass {} of {} has no mapping to {} any more{}.",
                map.from_class,
                map.from,
                map.to,
                place(&map)
            ));
            Ok(())
        }
    }
}

fn place(map: &StorageMap) -> String {
    if map.namespace.is_empty() { String::new() } else { format!(", in namespace {}", map.namespace) }
}

fn list<T: serde::Serialize>(
    context: &Context,
    items: Vec<T>,
    none: &str,
    table: impl FnOnce(&[T]) -> String,
) -> Result<(), Failure> {
    if context.is_json() {
        return terminal::json(&List { items }, false);
    }
    if items.is_empty() {
        context.note(none);
        return Ok(());
    }
    terminal::out(&table(&items))
}
