//! Values: the charts take what they document, and refuse the rest with the name of what is wrong.
//!
//! A schema that lets a mistyped value through installs something else than was meant. So each kind of mistake is
//! made once here, and the words of the refusal are looked at: they must name the value.
//!
//! What the charts make of values that are right is for `manifests` and `lifecycle`.

use anyhow::{Result, bail, ensure};
use ferry_tests::ferry::helm::{Helm, chart};
use ferry_tests::ferry::pods::{AGENT, CONTROLLER};
use ferry_tests::world::World;

/// What makes an agent's values complete.
const ADDRESS: &str = "controller=ferry.example.org:7443";

/// Chart, value, and what the refusal must name.
const MISTAKES: &[(&str, &str, &str)] = &[
    (CONTROLLER, "replicas=3", "'replicas' not allowed"),
    (CONTROLLER, "service.port=80", "/service/port"),
    (CONTROLLER, "service.type=Ingress", "/service/type"),
    (CONTROLLER, "persistence.size=lots", "/persistence/size"),
    (CONTROLLER, "certTTL=1day", "/certTTL"),
    (CONTROLLER, "logFormat=xml", "/logFormat"),
    (CONTROLLER, "sans={https://ferry.example.org}", "/sans"),
    (AGENT, "controller=", "give the controller's HOST:PORT"),
    (AGENT, "controller=ferry.example.org", "/controller"),
    (AGENT, "token=abc", "'token' not allowed"),
    (AGENT, "podCIDRs={10.0.0.0}", "/podCIDRs"),
    (AGENT, "rbac.namespaces={Shop}", "/rbac/namespaces"),
    (AGENT, "networkPolicy.apiServerPorts={0}", "/networkPolicy/apiServerPorts"),
];

/// `helm lint` finds nothing, with the defaults and with all that can be switched.
pub(crate) async fn well_formed(world: &World) -> Result<()> {
    let helm = Helm::of(world)?;
    let every = ["sans={a.example.org}", "ca.existingSecret=own", "networkPolicy.enabled=false"];
    let scoped = [ADDRESS, "join.token=x", "rbac.namespaces={shop,bank}", "rbac.secrets=true"];
    for (name, values) in [(CONTROLLER, &[][..]), (CONTROLLER, &every), (AGENT, &[ADDRESS]), (AGENT, &scoped)]
    {
        let folder = chart(name);
        let mut words = vec!["lint", "--strict", folder.as_str()];
        words.extend(values.iter().flat_map(|value| ["--set", value]));
        let said = helm.run(&words).await?;
        ensure!(said.contains("1 chart(s) linted, 0 chart(s) failed"), "{said}");
    }
    Ok(())
}

/// Every mistake is refused by its name.
pub(crate) async fn refused(world: &World) -> Result<()> {
    let helm = Helm::of(world)?;
    for (name, value, expected) in MISTAKES {
        let folder = chart(name);
        let mut words = vec!["template", "x", folder.as_str()];
        if *name == AGENT {
            words.extend(["--set", ADDRESS]);
        }
        words.extend(["--set", value]);
        let Err(refusal) = helm.run(&words).await else { bail!("{name} takes {value}") };
        let said = refusal.to_string();
        ensure!(said.contains(expected), "{name} with {value}: {said}\nexpected a word about {expected}");
    }
    Ok(())
}
