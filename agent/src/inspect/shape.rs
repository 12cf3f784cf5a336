//! The names that a StatefulSet gives to what it owns: pods, claims, ordinals of its slice.
//!
//! Every check speaks in these names, and so do the tombstones and the ledger: `<workload>-<ordinal>` for a pod,
//! `<template>-<workload>-<ordinal>` for a claim. A claim that merely looks alike but belongs to an ordinal outside
//! the slice is not the workload's: nothing here parses names, it only makes them.

use std::ops::Range;

use k8s_openapi::api::apps::v1::StatefulSet;

/// What of a StatefulSet the names follow from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Name of the StatefulSet.
    pub name: String,
    /// First ordinal.
    pub start: u32,
    /// Number of ordinals.
    pub replicas: u32,
    /// Names of the claim templates, in their order.
    pub claim_templates: Vec<String>,
}

impl Shape {
    /// The shape that `set` asks for; a missing `replicas` is 1, as the API server defaults it.
    pub(crate) fn of(set: &StatefulSet) -> Self {
        let spec = set.spec.as_ref();
        let start =
            spec.and_then(|spec| spec.ordinals.as_ref()).and_then(|ordinals| ordinals.start).unwrap_or(0);
        let replicas = spec.and_then(|spec| spec.replicas).unwrap_or(1);
        let claim_templates = spec
            .and_then(|spec| spec.volume_claim_templates.as_ref())
            .map(|claims| claims.iter().filter_map(|claim| claim.metadata.name.clone()).collect())
            .unwrap_or_default();
        Self {
            name: set.metadata.name.clone().unwrap_or_default(),
            start: start.try_into().unwrap_or(0),
            replicas: replicas.try_into().unwrap_or(0),
            claim_templates,
        }
    }

    /// The slice's ordinals, ascending.
    pub(crate) fn ordinals(&self) -> Range<u32> {
        self.start..self.start.saturating_add(self.replicas)
    }

    /// Name of the pod of `ordinal`.
    pub(crate) fn pod(&self, ordinal: u32) -> String {
        format!("{}-{ordinal}", self.name)
    }

    /// Name of the claim of `ordinal` for the claim template `template`.
    pub(crate) fn claim(&self, template: &str, ordinal: u32) -> String {
        format!("{template}-{}-{ordinal}", self.name)
    }

    /// Every pod name of the slice.
    pub(crate) fn pods(&self) -> impl Iterator<Item = String> + '_ {
        self.ordinals().map(|ordinal| self.pod(ordinal))
    }

    /// Every claim of the slice: its ordinal and name, ascending, in the templates' order.
    pub(crate) fn claims(&self) -> impl Iterator<Item = (u32, String)> + '_ {
        self.ordinals().flat_map(move |ordinal| {
            self.claim_templates.iter().map(move |template| (ordinal, self.claim(template, ordinal)))
        })
    }
}
