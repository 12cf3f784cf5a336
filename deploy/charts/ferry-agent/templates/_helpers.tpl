{{- define "ferry-agent.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{/* At most 52 characters: names of roles and a hash come after it. */}}
{{- define "ferry-agent.fullname" -}}
{{- $name := include "ferry-agent.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "ferry-agent.selector" -}}
app.kubernetes.io/name: {{ include "ferry-agent.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "ferry-agent.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "ferry-agent.selector" . }}
app.kubernetes.io/component: agent
app.kubernetes.io/part-of: ferry
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "ferry-agent.account" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "ferry-agent.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* The Secret that holds the join token; empty when none was given. */}}
{{- define "ferry-agent.token" -}}
{{- if .Values.join.existingSecret -}}
{{- .Values.join.existingSecret -}}
{{- else -}}
{{- include "ferry-agent.fullname" . }}-token
{{- end -}}
{{- end -}}

{{/* The Secret in which the agent keeps its key and certificate. */}}
{{- define "ferry-agent.identity" -}}
{{- include "ferry-agent.fullname" . }}-identity
{{- end -}}
