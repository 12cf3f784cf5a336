#!/usr/bin/env bash
# Hands one ordinal over in the manner of the Kubernetes blog on spec.ordinals (KEP-3335): kubectl and jq, each step
# after the one before. What the other side of P1b is: no proof of detach, no fence, no tombstone, no way back.
#
# usage: by-hand.sh FROM TO NAMESPACE SET CLAIM ORDINAL FROM_SLICE TO_SLICE
#   FROM, TO: contexts; FROM_SLICE, TO_SLICE: the slices afterwards, as START:REPLICAS
set -euo pipefail

from=$1 to=$2 namespace=$3 set=$4 claim=$5 ordinal=$6 from_slice=$7 to_slice=$8
pod=$set-$ordinal
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

source_cluster() { kubectl --context "$from" --namespace "$namespace" "$@"; }
target_cluster() { kubectl --context "$to" --namespace "$namespace" "$@"; }
slice() { printf '{"spec":{"ordinals":{"start":%d},"replicas":%d}}' "${1%:*}" "${1#*:}"; }

# Copies of claim and volume, without what belongs to the source.
source_cluster get pvc "$claim" -o json >"$work/claim.json"
volume=$(jq -r .spec.volumeName "$work/claim.json")
source_cluster get pv "$volume" -o json >"$work/volume.json"
foreign='.metadata.uid, .metadata.resourceVersion, .metadata.creationTimestamp, .metadata.managedFields,
  .metadata.annotations, .metadata.finalizers, .metadata.ownerReferences, .status'
jq "del($foreign)" "$work/claim.json" >"$work/claim-there.json"
jq "del($foreign, .spec.claimRef.uid, .spec.claimRef.resourceVersion)
  | .spec.persistentVolumeReclaimPolicy = \"Retain\"" "$work/volume.json" >"$work/volume-there.json"

# The source lets go of the ordinal and keeps the disk.
source_cluster patch pv "$volume" --type merge -p '{"spec":{"persistentVolumeReclaimPolicy":"Retain"}}'
source_cluster patch statefulset "$set" --type merge -p "$(slice "$from_slice")"
source_cluster wait --for=delete "pod/$pod" --timeout=120s
source_cluster delete pvc "$claim"

# The target takes it.
target_cluster create -f "$work/volume-there.json"
target_cluster create -f "$work/claim-there.json"
target_cluster wait --for=jsonpath='{.status.phase}'=Bound "pvc/$claim" --timeout=120s
target_cluster patch statefulset "$set" --type merge -p "$(slice "$to_slice")"
target_cluster wait --for=create "pod/$pod" --timeout=120s
target_cluster wait --for=condition=Ready "pod/$pod" --timeout=120s

# The source forgets the disk.
source_cluster delete pv "$volume"
