{{- define "fluxkeep.name" -}}
{{ .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- /* Name of the objects in the release's namespace. Those without a namespace are always called fluxkeep. */}}
{{- define "fluxkeep.fullname" -}}
{{- $name := include "fluxkeep.name" . }}
{{- $joined := contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) }}
{{- .Values.fullnameOverride | default $joined | trunc 52 | trimSuffix "-" }}
{{- end }}

{{- define "fluxkeep.serviceAccount" -}}
{{ ((.Values.serviceAccount).name) | default (include "fluxkeep.fullname" .) }}
{{- end }}

{{- define "fluxkeep.selector" -}}
app.kubernetes.io/name: {{ include "fluxkeep.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- /* Labels and annotations of every object. Takes the root and the component. */}}
{{- define "fluxkeep.metadata" -}}
labels:
  {{- include "fluxkeep.selector" .root | nindent 2 }}
  app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
  app.kubernetes.io/component: {{ .component }}
  app.kubernetes.io/part-of: fluxkeep
  app.kubernetes.io/managed-by: {{ .root.Release.Service }}
  helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
  {{- with merge dict (.labels | default dict) (.root.Values.commonLabels | default dict) }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with merge dict (.annotations | default dict) (.root.Values.commonAnnotations | default dict) }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "fluxkeep.image" -}}
{{- $image := .Values.image | default dict }}
{{- $registry := ((.Values.global).imageRegistry) | default $image.registry }}
{{- $name := printf "%s/%s" $registry $image.repository }}
{{- with $image.digest }}{{ printf "%s@%s" $name . }}{{ else }}{{ printf "%s:%s" $name ($image.tag | default .Chart.AppVersion) }}{{ end }}
{{- end }}

{{- define "fluxkeep.pullSecrets" -}}
{{- with concat (((.Values.global).imagePullSecrets) | default list) (.Values.imagePullSecrets | default list) }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- /* Empty where the server runs outside the cluster. */}}
{{- define "fluxkeep.inside" -}}
{{- if not ((.Values.webhook).url) }}yes{{ end }}
{{- end }}

{{- define "fluxkeep.mode" -}}
{{ ((.Values.certificates).mode) | default "built-in" }}
{{- end }}

{{- define "fluxkeep.tlsSecret" -}}
{{ ((.Values.certificates).secretName) | default (printf "%s-tls" (include "fluxkeep.fullname" .)) }}
{{- end }}

{{- define "fluxkeep.hosts" -}}
{{- $host := printf "%s.%s.svc" (include "fluxkeep.fullname" .) .Release.Namespace }}
{{- list $host (printf "%s.cluster.local" $host) | toJson }}
{{- end }}

{{- define "fluxkeep.namespaces" -}}
{{- (((.Values.policy).engine).namespaces) | default (list "flux-system") | toJson }}
{{- end }}

{{- /* Levels of rules. YAML 1.1 reads a bare `off` as false. */}}
{{- define "fluxkeep.levels" -}}
{{- $levels := dict }}
{{- range $rule, $level := ((.Values.policy).levels) }}
  {{- $levels = set $levels $rule (kindIs "bool" $level | ternary "off" $level) }}
{{- end }}
{{- toJson $levels }}
{{- end }}

{{- /* "yes" if an optional kind of Prometheus' operator is wanted. Takes the root and the value `enabled`. */}}
{{- define "fluxkeep.monitored" -}}
{{- $known := .root.Capabilities.APIVersions.Has "monitoring.coreos.com/v1" }}
{{- if or (eq (toString .enabled) "true") (and (eq (toString .enabled) "auto") $known) }}yes{{ end }}
{{- end }}
