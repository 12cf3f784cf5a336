
# ---------------------------------------------------------------------------------------------------------------------
# Nothing below depends on how far Ferry came: each function looks at both clusters and does what is left to do. Where
# the clusters do not answer, or show what must not be, the script stops and says so; run it again when that is repaired.

say() { printf '%s  %s\n' "$(date -u +%H:%M:%S)" "$*" >&2; }
stop() {
  say "STOPPED: $*"
  exit 1
}

((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] >= 404)) || stop "bash $BASH_VERSION is too old: 4.4 or newer is needed"
trap 'say "STOPPED: a command failed, see above. Repair the cause and run this script again"' ERR

# on CLUSTER ARGUMENTS: kubectl in a cluster, in the workload's namespace.
on() { kubectl --context "$1" --namespace "$NAMESPACE" --request-timeout=30s "${@:2}"; }

# across CLUSTER ARGUMENTS: the same for what lies in no namespace.
across() { kubectl --context "$1" --request-timeout=30s "${@:2}"; }

# field CLUSTER KIND NAME JSONPATH: one field; nothing if the object or the field does not exist, a failure if that
# cannot be told.
field() { on "$1" get "$2" "$3" --ignore-not-found -o "jsonpath={$4}"; }

# patiently WORDS CONDITION ARGUMENTS: until the condition holds. A condition that cannot be judged does not hold.
patiently() {
  local words=$1 began=$SECONDS told=$SECONDS
  shift
  until "$@"; do
    if ((SECONDS - began > WAIT_S)); then
      stop "$words: not so after $WAIT_S s. Look for the cause (the pages runbook and by-hand of Ferry's documentation" \
        "name the usual ones), repair it, and run this script again"
    fi
    if ((SECONDS - told >= 15)); then
      told=$SECONDS
      say "waiting: $words"
    fi
    sleep 1
  done
}

# --- The workload -----------------------------------------------------------------------------------------------------

templates() { field "$1" statefulset "$SET" '.spec.volumeClaimTemplates[*].metadata.name'; }

# slice CLUSTER: sets START and COUNT, and IS_EXPLICIT if the set says where it starts.
slice() {
  local text
  text=$(field "$1" statefulset "$SET" '.spec.ordinals.start}/{.spec.replicas') || stop "$1 does not answer"
  [[ $text == */* ]] || stop "StatefulSet $NAMESPACE/$SET does not exist in $1: Ferry had not prepared that cluster." \
    "Nothing has moved; run this script with DIRECTION=back, which gives back what was prepared"
  START=${text%/*} COUNT=${text#*/}
  IS_EXPLICIT=${START:+yes}
  START=${START:-0}
}

# runs CLUSTER ORDINAL: whether the ordinal is in the cluster's slice.
runs() {
  slice "$1"
  (($2 >= START && $2 < START + COUNT))
}

# resize CLUSTER START COUNT: one patch that fails if anybody else has changed the slice since `slice` read it.
resize() {
  local tests
  tests="{\"op\":\"test\",\"path\":\"/spec/replicas\",\"value\":$COUNT}"
  [[ -z $IS_EXPLICIT ]] ||
    tests+=",{\"op\":\"test\",\"path\":\"/spec/ordinals/start\",\"value\":$START}"
  on "$1" patch statefulset "$SET" --type=json --patch "[$tests,
    {\"op\":\"add\",\"path\":\"/spec/ordinals\",\"value\":{\"start\":$2}},
    {\"op\":\"replace\",\"path\":\"/spec/replicas\",\"value\":$3}]" >&2
}

# The slice of a cluster with an ordinal at its edge taken out, or put in.
take_out() {
  slice "$1"
  if (($2 == START + COUNT - 1)); then
    resize "$1" "$START" $((COUNT - 1))
  elif (($2 == START)); then
    resize "$1" $((START + 1)) $((COUNT - 1))
  else
    stop "ordinal $2 is in the middle of $1's slice ($COUNT from $START on): it cannot be taken out"
  fi
}
put_in() {
  slice "$1"
  if ((COUNT == 0)); then
    resize "$1" "$2" 1
  elif (($2 == START + COUNT)); then
    resize "$1" "$START" $((COUNT + 1))
  elif (($2 == START - 1)); then
    resize "$1" "$2" $((COUNT + 1))
  else
    stop "ordinal $2 is not next to $1's slice ($COUNT from $START on): it cannot be put in"
  fi
}

ready_is() { [[ $(field "$1" pod "$SET-$2" '.status.conditions[?(@.type=="Ready")].status') == True ]]; }

# A cluster's own replicas are all Ready and its StatefulSet has seen its present spec.
whole() {
  local text
  text=$(field "$1" statefulset "$SET" \
    '.metadata.generation}/{.status.observedGeneration}/{.spec.replicas}/{.status.readyReplicas') || return 1
  local generation observed replicas ready
  IFS=/ read -r generation observed replicas ready <<<"$text"
  [[ $generation == "$observed" ]] && ((replicas == ${ready:-0}))
}

# pod_gone CLUSTER ORDINAL: no such pod, and no pod at all that names one of its claims. Nothing is ever force-deleted:
# a pod that does not end is on a node that does not answer, and may still be writing.
pod_gone() {
  local pod used template
  pod=$(on "$1" get pod "$SET-$2" --ignore-not-found -o name) || return 1
  [[ -z $pod ]] || return 1
  used=$(on "$1" get pods -o 'jsonpath={range .items[*]}{.spec.volumes[*].persistentVolumeClaim.claimName}{" "}{end}') ||
    return 1
  for template in $TEMPLATES; do
    [[ " $used " != *" $template-$SET-$2 "* ]] || return 1
  done
}

# --- Endpoints --------------------------------------------------------------------------------------------------------
# Peers and clients find a replica by name in both clusters because each cluster holds EndpointSlices with the other's
# addresses. Ferry's agents kept them up to date; now this script does, while it runs.

# mirror FROM TO: what FROM's own controller says of the Service, written in TO.
mirror() {
  local service=$SERVICE own ports family endpoints name="$SERVICE-by-hand"
  [[ -n $service ]] || return 0
  own="kubernetes.io/service-name=$service,endpointslice.kubernetes.io/managed-by=endpointslice-controller.k8s.io"
  endpoints=$(on "$1" get endpointslices -l "$own" -o go-template='{{range .items}}{{range .endpoints}}{{if .hostname}}
- addresses: ["{{index .addresses 0}}"]
  hostname: "{{.hostname}}"
  conditions: {ready: {{.conditions.ready}}, serving: {{.conditions.serving}}, terminating: {{.conditions.terminating}}}
{{end}}{{end}}{{end}}') || return 1
  if [[ -z $endpoints ]]; then
    on "$2" delete endpointslice "$name" --ignore-not-found >/dev/null || return 1
  else
    ports=$(on "$1" get endpointslices -l "$own" -o 'jsonpath={.items[0].ports}') || return 1
    family=$(on "$1" get endpointslices -l "$own" -o 'jsonpath={.items[0].addressType}') || return 1
    on "$2" apply --server-side --force-conflicts --field-manager=ferry-runbook -f - >/dev/null <<YAML || return 1
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: $name
  labels:
    kubernetes.io/service-name: $service
    endpointslice.kubernetes.io/managed-by: by-hand.ferry.dev
    service.kubernetes.io/headless: ""
addressType: $family
ports: ${ports:-[]}
endpoints:
$endpoints
YAML
  fi
  on "$2" delete endpointslices --ignore-not-found >/dev/null \
    -l "kubernetes.io/service-name=$service,endpointslice.kubernetes.io/managed-by=agent.ferry.dev"
}
mirrors() { mirror "$SOURCE" "$TARGET" && mirror "$TARGET" "$SOURCE"; }

# While a condition is waited for, names follow the pods.
mirrored() {
  mirrors || return 1
  "$@"
}

# --- Disks ------------------------------------------------------------------------------------------------------------

# standing CLUSTER CLAIM: nothing, tombstone, or the volume's name. A tombstone is the claim that keeps a stray pod
# Pending where its ordinal does not belong.
standing() {
  local text
  text=$(on "$1" get pvc "$2" --ignore-not-found -o 'jsonpath={.metadata.name}/{.spec.volumeName}') || return 1
  case $text in
    '') echo nothing ;;
    "$2/ferry.dev/TOMBSTONE") echo tombstone ;;
    "$2/") echo unbound ;;
    *) echo "${text#*/}" ;;
  esac
}
is_real() { [[ $1 != nothing && $1 != tombstone && $1 != unbound ]]; }

# volumes_for CLUSTER CLAIM: names of the PersistentVolumes that are reserved for the claim.
volumes_for() {
  local all line
  all=$(on "$1" get pv -o \
    'jsonpath={range .items[*]}{.spec.claimRef.namespace}/{.spec.claimRef.name}/{.metadata.name}{"\n"}{end}') || return 1
  while IFS= read -r line; do
    [[ $line != "$NAMESPACE/$2/"* ]] || echo "${line##*/}"
  done <<<"$all"
}

# retain CLUSTER VOLUME: the reclaim policy Retain, read back. Without it the deletion of a claim deletes the disk.
retain() {
  local policy
  policy=$(field "$1" pv "$2" .spec.persistentVolumeReclaimPolicy) || stop "$1 does not answer"
  case $policy in
    Retain | '') return 0 ;;
  esac
  on "$1" patch pv "$2" --type=merge --patch '{"spec":{"persistentVolumeReclaimPolicy":"Retain"}}' >&2
  policy=$(field "$1" pv "$2" .spec.persistentVolumeReclaimPolicy) || stop "$1 does not answer"
  [[ $policy == Retain ]] || stop "PersistentVolume $2 in $1 is $policy, expected Retain"
}

# keep_claims CLUSTER: the StatefulSet's controller deletes no claim when the slice shrinks.
keep_claims() {
  on "$1" patch statefulset "$SET" --type=merge >&2 \
    --patch '{"spec":{"persistentVolumeClaimRetentionPolicy":{"whenDeleted":"Retain","whenScaled":"Retain"}}}'
}

# disk CLUSTER VOLUME: which disk that is, as nodes report it.
disk() { field "$1" pv "$2" '.spec.csi.driver}^{.spec.csi.volumeHandle'; }

lease() { kubectl --context "$1" -n kube-node-lease get lease "$2" -o 'jsonpath={.spec.renewTime}'; }

is_fenced() { [[ " $FENCED_NODES " == *" $1 "* ]]; }

# Nodes whose word is needed that a disk is let go, each with its uid and the Lease of after the replica's end.
declare -A WITNESSES=() LEASES=()

# witnesses CLUSTER ORDINAL: sets WITNESSES: the node that runs the ordinal or, when its pod is gone, ran it last as was
# written down. If nobody wrote that down, every node of the cluster. Those that you have fenced are asked nothing.
witnesses() {
  local node note uid='' nodes
  node=$(field "$1" pod "$SET-$2" .spec.nodeName) || stop "$1 does not answer"
  note=$(field "$1" statefulset "$SET" '.metadata.annotations.ferry\.dev/handoff') || stop "$1 does not answer"
  if [[ -z $node && $note =~ \"ordinal\":$2[,}] && $note =~ \"node\":(\{[^}]*\}) ]]; then
    note=${BASH_REMATCH[1]}
    [[ ! $note =~ \"name\":\"([^\"]+)\" ]] || node=${BASH_REMATCH[1]}
    [[ ! $note =~ \"uid\":\"([^\"]+)\" ]] || uid=${BASH_REMATCH[1]}
  fi
  nodes=$node
  [[ -n $node ]] || nodes=$(across "$1" get nodes -o 'jsonpath={.items[*].metadata.name}') || stop "$1 does not answer"
  WITNESSES=()
  for node in $nodes; do
    if is_fenced "$node"; then
      say "node $node of $1 is fenced, by your word"
      continue
    fi
    WITNESSES[$node]=${uid:-$(across "$1" get node "$node" --ignore-not-found -o 'jsonpath={.metadata.uid}')} ||
      stop "$1 does not answer"
  done
}

# leases CLUSTER: sets LEASES, after the replica's end.
leases() {
  local node
  LEASES=()
  for node in "${!WITNESSES[@]}"; do
    LEASES[$node]=$(lease "$1" "$node") ||
      stop "node $node of $1, which ran the replica or may have, has no Lease: whether it still writes cannot be told" \
        "from here. Make sure that it is powered off or cut from the storage, then run this script with FENCED_NODES=$node"
  done
}

# vouches CLUSTER NODE: it is the node that it was, Ready, in service, and has said so after the replica's end.
vouches() {
  local text uid ready taints renewed
  text=$(across "$1" get node "$2" -o \
    'jsonpath={.metadata.uid}/{.status.conditions[?(@.type=="Ready")].status}/{.spec.taints[*].key}') || return 1
  IFS=/ read -r uid ready taints <<<"$text"
  renewed=$(lease "$1" "$2") || return 1
  [[ $uid == "${WITNESSES[$2]}" && $ready == True && $taints != *out-of-service* && $renewed != "${LEASES[$2]}" ]]
}

# let_go CLUSTER VOLUME: no attachment exists, no node uses the disk, and the node that ran the replica vouches for it.
# `attached: false` is no proof, absence is; and a node that is gone or silent has not let go of anything.
let_go() {
  local attachments disk used node line
  attachments=$(across "$1" get volumeattachments -o 'jsonpath={.items[*].spec.source.persistentVolumeName}') || return 1
  [[ " $attachments " != *" $2 "* ]] || return 1
  disk=$(disk "$1" "$2") || return 1
  used=$(across "$1" get nodes -o \
    'jsonpath={range .items[*]}{.metadata.name}{" "}{.status.volumesInUse[*]}{"\n"}{end}') || return 1
  while IFS= read -r line; do
    is_fenced "${line%% *}" || [[ "$line " != *" kubernetes.io/csi/$disk "* ]] || return 1
  done <<<"$used"
  for node in "${!WITNESSES[@]}"; do
    vouches "$1" "$node" || return 1
  done
}

claim_gone() { [[ $(standing "$1" "$2") == nothing ]]; }

# unclaim CLUSTER CLAIM: no claim of that name; deleted exactly as it was seen, by its uid.
unclaim() {
  local uid
  uid=$(field "$1" pvc "$2" .metadata.uid) || stop "$1 does not answer"
  [[ -n $uid ]] || return 0
  on "$1" delete --raw "/api/v1/namespaces/$NAMESPACE/persistentvolumeclaims/$2" -f - >/dev/null <<JSON
{"kind":"DeleteOptions","apiVersion":"v1","preconditions":{"uid":"$uid"}}
JSON
  patiently "claim $2 to be gone from $1" claim_gone "$1" "$2"
}

tombstone() {
  on "$1" create -f - >&2 <<YAML
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: $2
  labels: {app.kubernetes.io/managed-by: ferry, ferry.dev/tombstone: "true"}
spec:
  accessModes: [ReadWriteOnce]
  resources: {requests: {storage: 1Mi}}
  storageClassName: ""
  volumeName: ferry.dev/TOMBSTONE
YAML
}

# carry FROM TO VOLUME: the same PersistentVolume in TO, with Retain, reserved for its claim by name and for no uid.
carry() {
  local here there
  there=$(disk "$2" "$3") || stop "$2 does not answer"
  if [[ -z $there ]]; then
    say "PersistentVolume $3 made in $2"
    on "$1" get pv "$3" -o json | kubectl patch --local -f - -o json --type=merge --patch '{"status":null,
      "metadata":{"uid":null,"resourceVersion":null,"creationTimestamp":null,"deletionTimestamp":null,
        "deletionGracePeriodSeconds":null,"finalizers":null,"managedFields":null,"ownerReferences":null,
        "annotations":{"pv.kubernetes.io/bound-by-controller":null}},
      "spec":{"persistentVolumeReclaimPolicy":"Retain","claimRef":{"uid":null,"resourceVersion":null}}}' |
      on "$2" create -f - >&2
    return
  fi
  here=$(disk "$1" "$3") || stop "$1 does not answer"
  [[ -z $here || $here == "$there" ]] || stop "PersistentVolume $3 is the disk $here in $1 and $there in $2"
  retain "$2" "$3"
  if [[ $(field "$2" pv "$3" .status.phase) == Released ]]; then
    on "$2" patch pv "$3" --type=merge --patch '{"spec":{"claimRef":{"uid":null,"resourceVersion":null}}}' >&2
  fi
}

# claim CLUSTER CLAIM VOLUME: the claim, made from the PersistentVolume, which is at least as large as it was.
claim() {
  local labels modes mode class attributes size
  labels=$(field "$1" statefulset "$SET" .spec.selector.matchLabels)
  modes=$(field "$1" pv "$3" .spec.accessModes)
  mode=$(field "$1" pv "$3" .spec.volumeMode)
  class=$(field "$1" pv "$3" .spec.storageClassName)
  attributes=$(field "$1" pv "$3" .spec.volumeAttributesClassName)
  size=$(field "$1" pv "$3" .spec.capacity.storage)
  [[ -n $labels ]] || labels='{}'
  on "$1" create -f - >&2 <<YAML
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: $2
  labels: $labels
spec:
  accessModes: $modes
  volumeMode: ${mode:-Filesystem}
  storageClassName: "$class"
  ${attributes:+volumeAttributesClassName: "$attributes"}
  volumeName: $3
  resources: {requests: {storage: "$size"}}
YAML
}

bound() {
  local uid named
  uid=$(field "$1" pvc "$2" '.status.phase}/{.metadata.uid') || return 1
  named=$(field "$1" pv "$3" '.status.phase}/{.spec.claimRef.uid') || return 1
  [[ $uid == Bound/?* && $uid == "$named" ]]
}

# --- One ordinal ------------------------------------------------------------------------------------------------------

# which_volume FROM TO CLAIM: sets VOLUME. Both clusters may know the disk, never both by a claim.
which_volume() {
  local here there
  here=$(standing "$1" "$3") || stop "$1 does not answer"
  there=$(standing "$2" "$3") || stop "$2 does not answer"
  if is_real "$here" && is_real "$there"; then
    stop "claim $3 exists in $1 (volume $here) and in $2 (volume $there): one disk, usable twice. Find out which pod" \
      "writes, stop the other StatefulSet's, and delete that claim once its volume is Retain and detached"
  fi
  if is_real "$here"; then
    VOLUME=$here
  elif is_real "$there"; then
    VOLUME=$there
  else
    VOLUME=$( (volumes_for "$1" "$3" && volumes_for "$2" "$3") | sort -u) || stop "a cluster does not answer"
    [[ -n $VOLUME && $VOLUME != *$'\n'* ]] ||
      stop "claim $3 exists nowhere, and PersistentVolumes that were its are: ${VOLUME:-none}. Make it by hand" \
        "from the right one"
  fi
}

# move FROM TO ORDINAL: the ordinal runs in TO with its disks, and FROM knows nothing of them but tombstones.
move() {
  local from=$1 to=$2 ordinal=$3 template claim there node note volume
  local -A volume_of=()
  slice "$to"
  for template in $TEMPLATES; do
    which_volume "$from" "$to" "$template-$SET-$ordinal"
    volume_of[$template]=$VOLUME
  done
  if runs "$from" "$ordinal" || ! arrived "$to" "$ordinal"; then
    say "ordinal $ordinal: from $from to $to"
    for template in $TEMPLATES; do
      volume=${volume_of[$template]}
      retain "$from" "$volume"
      retain "$to" "$volume"
    done
    if runs "$from" "$ordinal"; then
      patiently "all replicas in $from to be Ready before one more stops" mirrored whole "$from"
      patiently "all replicas in $to to be Ready before one more stops" mirrored whole "$to"
    fi
    witnesses "$from" "$ordinal"
    if runs "$from" "$ordinal"; then
      ((${#WITNESSES[@]} <= 1)) || stop "pod $SET-$ordinal in $from is gone again: see why, and run this script again"
      # Who ran it, for the proof of detachment, also if this script is interrupted and begins anew.
      for node in "${!WITNESSES[@]}"; do
        note="{\"ordinal\":$ordinal,\"node\":{\"name\":\"$node\",\"uid\":\"${WITNESSES[$node]}\"}}"
        on "$from" annotate statefulset "$SET" --overwrite "ferry.dev/handoff=$note" >&2
      done
      take_out "$from" "$ordinal"
    fi
    patiently "pod $SET-$ordinal in $from to end" mirrored pod_gone "$from" "$ordinal"
    leases "$from"
    for template in $TEMPLATES; do
      volume=${volume_of[$template]}
      claim=$template-$SET-$ordinal
      there=$(standing "$to" "$claim") || stop "$to does not answer"
      if ! is_real "$there"; then
        patiently "volume $volume to be detached in $from; who must vouch for it: ${!WITNESSES[*]}" \
          mirrored let_go "$from" "$volume"
      fi
    done
    for template in $TEMPLATES; do
      hand_over "$from" "$to" "$template-$SET-$ordinal" "${volume_of[$template]}"
    done
    runs "$to" "$ordinal" || put_in "$to" "$ordinal"
    patiently "pod $SET-$ordinal in $to to be Ready" mirrored ready_is "$to" "$ordinal"
    mirrors || stop "the endpoints could not be written"
    sleep "$DNS_S"
  fi
  for template in $TEMPLATES; do
    retire "$from" "${volume_of[$template]}" "$template-$SET-$ordinal"
  done
  say "ordinal $ordinal: in $to"
}

# arrived CLUSTER ORDINAL: its claims are there and its pod is Ready.
arrived() {
  local template found
  runs "$1" "$2" || return 1
  for template in $TEMPLATES; do
    found=$(standing "$1" "$template-$SET-$2") || return 1
    is_real "$found" || return 1
  done
  ready_is "$1" "$2"
}

# hand_over FROM TO CLAIM VOLUME: claim and volume in TO, bound to each other; in FROM a tombstone.
hand_over() {
  local here there
  here=$(standing "$1" "$3") || stop "$1 does not answer"
  if is_real "$here"; then
    retain "$1" "$4"
    carry "$1" "$2" "$4"
    unclaim "$1" "$3"
    here=nothing
  fi
  [[ $here != unbound ]] || stop "claim $3 in $1 is bound to nothing and is no tombstone: look at it"
  [[ $here == tombstone ]] || tombstone "$1" "$3"
  carry "$1" "$2" "$4"
  there=$(standing "$2" "$3") || stop "$2 does not answer"
  if [[ $there == tombstone ]]; then
    unclaim "$2" "$3"
    there=nothing
  fi
  if [[ $there == nothing ]]; then
    claim "$2" "$3" "$4"
  fi
  patiently "claim $3 and volume $4 in $2 to be Bound to each other" bound "$2" "$3" "$4"
}

# retire CLUSTER VOLUME CLAIM: the PersistentVolume that is left behind goes; the disk does not, the policy being Retain.
retire() {
  local text
  text=$(field "$1" pv "$2" '.spec.persistentVolumeReclaimPolicy}/{.status.phase') || stop "$1 does not answer"
  [[ -n $text ]] || return 0
  [[ $text == Retain/Released || $text == Retain/Available ]] ||
    stop "PersistentVolume $2 in $1 is $text, expected Retain/Released: it is not deleted"
  across "$1" delete pv "$2" >&2
}

# --- Before and after -------------------------------------------------------------------------------------------------

# fence CLUSTER: takes away what Ferry may do there, so that an agent that wakes up cannot write beside this script.
fence() {
  local bindings binding namespaces kind taken=0
  for kind in clusterrolebinding rolebinding; do
    bindings=$(on "$1" get "$kind" -o \
      'jsonpath={range .items[*]}{.metadata.name}{"/"}{.subjects[*].namespace}{"\n"}{end}') || stop "$1 does not answer"
    while IFS=/ read -r binding namespaces; do
      if [[ " $namespaces " == *" $FERRY_NAMESPACE "* ]]; then
        taken=$((taken + 1))
        if [[ $kind == rolebinding ]]; then
          on "$1" delete "$kind" "$binding" --ignore-not-found >&2
        else
          across "$1" delete "$kind" "$binding" --ignore-not-found >&2
        fi
      fi
    done <<<"$bindings"
  done
  ((taken > 0)) || say "in $1 nothing was bound to namespace $FERRY_NAMESPACE: its rights were taken away before, or the" \
    "agent there has them from elsewhere (a kubeconfig of its own). See that no agent runs there"
}

# unguard CLUSTER: takes the guard down, which would refuse this script as it refuses anybody who is not Ferry's agent.
unguard() {
  local served kind
  served=$(across "$1" get --raw /apis/admissionregistration.k8s.io/v1) || stop "$1 does not answer"
  # Before Kubernetes 1.30 there is none.
  [[ $served == *validatingadmissionpolicybindings* ]] || return 0
  for kind in validatingadmissionpolicybinding validatingadmissionpolicy; do
    across "$1" delete "$kind" "ferry-guard.$NAMESPACE.$SET" --ignore-not-found >&2
  done
}

# unlist CLUSTER: what the guard was told to guard goes too, once it is enforced no more.
unlist() { on "$1" delete configmap "ferry-guard-$SET" --ignore-not-found >&2; }

# selects CLUSTER BUDGET: whether a PodDisruptionBudget selects the workload's pods, by its labels.
selects() {
  local pairs='{{range $key, $value := %s}}{{$key}}={{$value}} {{end}}' wanted labels pair
  # shellcheck disable=SC2059 # the format is the template
  wanted=$(on "$1" get pdb "$2" -o go-template="$(printf "$pairs" .spec.selector.matchLabels)") || stop "$1 does not answer"
  # shellcheck disable=SC2059
  labels=$(on "$1" get statefulset "$SET" -o go-template="$(printf "$pairs" .spec.template.metadata.labels)") ||
    stop "$1 does not answer"
  [[ -n $wanted ]] || return 1
  for pair in $wanted; do
    [[ " $labels" == *" $pair "* ]] || return 1
  done
}

# give_back HOME: what Ferry changed for the time of the migration is as it was: reclaim policies, retention, budget.
give_back() {
  local originals ordinal template volume disk policy budgets budget original retention
  originals=$(field "$SOURCE" statefulset "$SET" '.metadata.annotations.ferry\.dev/originals') || stop "$SOURCE does not answer"
  slice "$1"
  for ((ordinal = START; ordinal < START + COUNT; ordinal++)); do
    for template in $TEMPLATES; do
      volume=$(field "$1" pvc "$template-$SET-$ordinal" .spec.volumeName)
      disk=$(disk "$1" "$volume")
      if [[ $originals == *"\"$disk\":\""* ]]; then
        policy=${originals#*"\"$disk\":\""}
        policy=${policy%%\"*}
        on "$1" patch pv "$volume" --type=merge --patch "{\"spec\":{\"persistentVolumeReclaimPolicy\":\"$policy\"}}" >&2
      fi
    done
  done
  if [[ $originals =~ \"retention\":(\{[^}]*\}) ]]; then
    retention=${BASH_REMATCH[1]}
    on "$1" patch statefulset "$SET" --type=merge \
      --patch "{\"spec\":{\"persistentVolumeClaimRetentionPolicy\":$retention}}" >&2
  fi
  budgets=$(on "$1" get pdb -o 'jsonpath={.items[*].metadata.name}') || stop "$1 does not answer"
  for budget in $budgets; do
    selects "$1" "$budget" || continue
    original=$(field "$1" pdb "$budget" '.metadata.annotations.ferry\.dev/original-budget')
    case $original in
      *minAvailable*) original="\"maxUnavailable\":null,${original:1:-1}" ;;
      *maxUnavailable*) original="\"minAvailable\":null,${original:1:-1}" ;;
      *) continue ;;
    esac
    on "$1" patch pdb "$budget" --type=merge --patch "{\"spec\":{$original},
      \"metadata\":{\"annotations\":{\"ferry.dev/original-budget\":null}}}" >&2
  done
  on "$1" annotate statefulset "$SET" ferry.dev/originals- ferry.dev/handoff- >&2
}

main() {
  local home=$TARGET other=$SOURCE ordinals=("${ORDINALS[@]}") index
  if [[ $DIRECTION == back ]]; then
    home=$SOURCE other=$TARGET ordinals=()
    for ((index = ${#ORDINALS[@]} - 1; index >= 0; index--)); do
      ordinals+=("${ORDINALS[index]}")
    done
  fi
  SERVICE=$(field "$SOURCE" statefulset "$SET" .spec.serviceName) || stop "$SOURCE does not answer"
  TEMPLATES=$(templates "$SOURCE") || stop "$SOURCE does not answer"
  slice "$SOURCE"
  say "Ferry's rights are taken away in $SOURCE and $TARGET"
  fence "$SOURCE"
  fence "$TARGET"
  unguard "$SOURCE"
  unguard "$TARGET"
  # API servers judge by what they have been told of bindings; the longest that any of them may take to be told.
  sleep "$FENCED_S"
  unlist "$SOURCE"
  unlist "$TARGET"
  if [[ $DIRECTION != back || -n $(field "$TARGET" statefulset "$SET" .metadata.name) ]]; then
    slice "$TARGET"
    mirrors || stop "the endpoints could not be written"
    keep_claims "$SOURCE"
    keep_claims "$TARGET"
    for index in "${ordinals[@]}"; do
      move "$other" "$home" "$index"
    done
    slice "$other"
    if ((COUNT > 0)); then
      mirrors || stop "the endpoints could not be written"
      say "done: the ordinals ${ordinals[*]} are in $home, the others stay in $other. Nobody keeps the EndpointSlice" \
        "$SERVICE-by-hand of either cluster up to date now: run this script again after a pod has moved to another node"
      return
    fi
    on "$home" delete endpointslices --ignore-not-found >/dev/null \
      -l "kubernetes.io/service-name=$SERVICE,endpointslice.kubernetes.io/managed-by in (by-hand.ferry.dev,agent.ferry.dev)"
  fi
  give_back "$home"
  patiently "all replicas in $home to be Ready" whole "$home"
  say "done: $NAMESPACE/$SET is whole in $home. The empty StatefulSet and the tombstones stay in $other until you are" \
    "sure that nothing fills it again; so does the EndpointSlice $SERVICE-by-hand, by which clients there find the" \
    "replicas, and which nobody keeps up to date. The page by-hand says how to remove them, and how to let Ferry in again"
}

main
