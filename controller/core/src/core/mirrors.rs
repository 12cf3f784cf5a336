//! Endpoints on their way between clusters (network.md, the mirror).
//!
//! Each cluster's report goes to every other cluster that imports the Service; each confirms the revision it wrote.
//! A mirror is sent once for each stream and revision, again after an attach, and again after a while when it could
//! not be written. Nothing of it is durable: clusters keep what was written.

use crate::effect::Effect;
use crate::facts::{EndpointsReport, Mirror, MirrorApplied};
use crate::ids::{ClusterName, ServiceName};
use crate::limits;
use crate::observed::{MirrorState, Version};

use super::Step;

impl Step<'_> {
    pub(super) fn say_governed(&mut self, cluster: &ClusterName) {
        let Some(session) = self.observed.session(cluster) else {
            return;
        };
        let services = self.state.governed_in(cluster);
        self.release(Effect::SetGoverned { cluster: cluster.clone(), session, services });
    }

    pub(super) fn endpoints_reported(&mut self, cluster: &ClusterName, report: EndpointsReport) {
        let service = report.service.clone();
        let governed = self.state.governed.get(&service).is_some_and(|clusters| clusters.contains(cluster));
        if !governed || report.endpoints.len() > limits::ENDPOINTS {
            return;
        }
        let Some(observed) = self.observed.clusters.get_mut(cluster) else {
            return;
        };
        let old = observed.endpoints.get(&service).is_some_and(|known| known.revision > report.revision);
        if old {
            return;
        }
        observed.endpoints.insert(service.clone(), report);
        for importer in self.state.governed.get(&service).cloned().unwrap_or_default() {
            self.mirror(&service, cluster, &importer);
        }
    }

    /// Everything that other clusters report goes into a cluster that has just attached.
    pub(super) fn mirror_into(&mut self, importer: &ClusterName) {
        for service in self.state.governed_in(importer) {
            for origin in self.state.governed.get(&service).cloned().unwrap_or_default() {
                self.mirror(&service, &origin, importer);
            }
        }
    }

    fn mirror(&mut self, service: &ServiceName, origin: &ClusterName, importer: &ClusterName) {
        if origin == importer {
            return;
        }
        let Some(of_origin) = self.observed.clusters.get(origin) else {
            return;
        };
        let Some(report) = of_origin.endpoints.get(service).cloned() else {
            return;
        };
        let version = Version { instance_id: of_origin.instance_id.clone(), revision: report.revision };
        let mirror = Mirror {
            origin: origin.clone(),
            report,
            origin_pod_cidrs: of_origin.pod_cidrs.clone(),
            origin_instance_id: of_origin.instance_id.clone(),
        };
        let Some(of_importer) = self.observed.clusters.get_mut(importer) else {
            return;
        };
        let Some(session) = of_importer.session else {
            return;
        };
        let known = of_importer.mirrors.entry((service.clone(), origin.clone())).or_default();
        if known.sent == version && known.retry_at.is_none() {
            return;
        }
        let confirmed = known.confirmed.take();
        let error = std::mem::take(&mut known.error);
        *known = MirrorState { sent: version, confirmed, error, retry_at: None };
        self.release(Effect::Mirror { cluster: importer.clone(), session, mirror: Box::new(mirror) });
    }

    pub(super) fn mirror_applied(&mut self, importer: &ClusterName, applied: MirrorApplied) {
        let retry_at = self.now.plus(limits::MIRROR_RETRY_MS);
        let version = Version { instance_id: applied.origin_instance_id, revision: applied.revision };
        let Some(known) = self
            .observed
            .clusters
            .get_mut(importer)
            .and_then(|cluster| cluster.mirrors.get_mut(&(applied.service, applied.origin)))
        else {
            return;
        };
        if known.sent != version {
            return;
        }
        if applied.error.is_empty() {
            *known =
                MirrorState { sent: known.sent.clone(), confirmed: Some(version), ..MirrorState::default() };
        } else {
            known.error = limits::cut(&applied.error);
            known.retry_at = Some(retry_at);
        }
    }

    /// Mirrors that could not be written and whose time has come.
    pub(super) fn retry_mirrors(&mut self) {
        let now = self.now;
        let due: Vec<_> = self
            .observed
            .clusters
            .iter()
            .flat_map(|(importer, cluster)| {
                cluster
                    .mirrors
                    .iter()
                    .filter(|(_, mirror)| {
                        mirror.retry_at.is_some_and(|at| at.has_come(now, limits::MIRROR_RETRY_MS))
                    })
                    .map(|((service, origin), _)| (service.clone(), origin.clone(), importer.clone()))
            })
            .collect();
        for (service, origin, importer) in due {
            let origin_reports = self
                .observed
                .clusters
                .get(&origin)
                .is_some_and(|cluster| cluster.endpoints.contains_key(&service));
            if origin_reports {
                self.mirror(&service, &origin, &importer);
            } else if let Some(mirror) = self
                .observed
                .clusters
                .get_mut(&importer)
                .and_then(|cluster| cluster.mirrors.get_mut(&(service, origin)))
            {
                // Sent again with the origin's next report.
                mirror.retry_at = None;
                mirror.sent = Version::default();
            }
        }
    }
}
