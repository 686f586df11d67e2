{{/* Names and labels that the templates share. */}}
{{- define "scopegate.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name }}{{ else }}{{ .Release.Name }}-{{ .Chart.Name }}{{ end }}
{{- end }}

{{- define "scopegate.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "scopegate.labels" -}}
{{ include "scopegate.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{/* The configuration file. Keys outside of tables come before the first table. */}}
{{- define "scopegate.config" -}}
{{- $name := include "scopegate.name" . }}
{{- $service := printf "%s.%s" $name .Release.Namespace }}
{{- $hosts := concat (list $name $service (printf "%s.svc" $service) (printf "%s.svc.cluster.local" $service)) .Values.hosts }}
{{ .Values.root }}
[[listener]]
name    = "cluster"
address = "0.0.0.0:{{ if .Values.tls.secret }}8443{{ else }}8080{{ end }}"
hosts   = {{ $hosts | toJson }}
{{- if .Values.tls.secret }}

[listener.tls]
certificates = [{ chain = "/run/secrets/tls/tls.crt", key = "/run/secrets/tls/tls.key" }]
{{- if .Values.tls.clientCa }}
client_ca    = ["/run/secrets/tls/ca.crt"]
{{- end }}
{{- end }}

[admin]
address = "0.0.0.0:9180"
hosts   = {{ $hosts | toJson }}

[upstream]
endpoints = {{ .Values.upstream.endpoints | toJson }}
region    = {{ .Values.upstream.region | quote }}

[issuer]
access_key = { file = "/run/secrets/scopegate/access_key" }
secret_key = { file = "/run/secrets/scopegate/secret_key" }

[log]
format = "json"

{{ .Values.more }}
{{ .Values.mappings }}
{{- end }}
