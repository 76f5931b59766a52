{{/* What objects of this revision have behind their names. */}}
{{- define "mesh.suffix" -}}
{{- if ne .Values.revision "mesh" }}-{{ .Values.revision }}{{ end }}
{{- end }}

{{/* Name of the control plane's objects. */}}
{{- define "mesh.name" -}}
meshd{{ include "mesh.suffix" . }}
{{- end }}

{{/* Name of its objects that are not in a namespace. */}}
{{- define "mesh.clusterName" -}}
meshd{{ include "mesh.suffix" . }}-{{ .Release.Namespace }}
{{- end }}

{{/* What a Deployment selects by; must never change. */}}
{{- define "mesh.selector" -}}
app: meshd
istio.io/rev: {{ .Values.revision | quote }}
{{- end }}

{{/* Labels of every object. */}}
{{- define "mesh.labels" -}}
{{ include "mesh.selector" . }}
app.kubernetes.io/name: meshd
app.kubernetes.io/instance: {{ include "mesh.name" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: mesh
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
{{- end }}

{{- define "mesh.tag" -}}
{{ .Values.tag | default .Chart.AppVersion }}
{{- end }}

{{/* Namespaces that no webhook may block. */}}
{{- define "mesh.excludedNamespaces" -}}
- kube-system
- kube-public
- kube-node-lease
{{- range .Values.webhooks.excludedNamespaces }}
- {{ . | quote }}
{{- end }}
{{- end }}

{{/* What all webhooks of injection share. Argument: dict root, name. */}}
{{- define "mesh.injector" -}}
name: {{ .name }}
clientConfig:
  service:
    name: {{ include "mesh.name" .root }}
    namespace: {{ .root.Release.Namespace }}
    path: /inject
    port: 443
{{- with .root.Values.webhooks.caBundle }}
  caBundle: {{ . }}
{{- end }}
rules:
- apiGroups: [""]
  apiVersions: ["v1"]
  operations: ["CREATE"]
  resources: ["pods"]
  scope: Namespaced
matchPolicy: Equivalent
admissionReviewVersions: ["v1"]
sideEffects: None
reinvocationPolicy: Never
failurePolicy: {{ .root.Values.webhooks.failurePolicy }}
timeoutSeconds: {{ .root.Values.webhooks.timeoutSeconds }}
{{- end }}

{{/* A webhook for namespaces and one for pods that name a revision or tag.
     Argument: dict root, value (of the label istio.io/rev). */}}
{{- define "mesh.injectByRevision" -}}
- {{ include "mesh.injector" (dict "root" .root "name" "rev.namespace.sidecar-injector.mesh.dev") | nindent 2 | trim }}
  namespaceSelector:
    matchExpressions:
    - key: istio.io/rev
      operator: In
      values: [{{ .value | quote }}]
    - key: istio-injection
      operator: DoesNotExist
    - key: kubernetes.io/metadata.name
      operator: NotIn
      values:
      {{- include "mesh.excludedNamespaces" .root | nindent 6 }}
      - {{ .root.Release.Namespace }}
  objectSelector:
    matchExpressions:
    - key: sidecar.istio.io/inject
      operator: NotIn
      values: ["false"]
- {{ include "mesh.injector" (dict "root" .root "name" "rev.object.sidecar-injector.mesh.dev") | nindent 2 | trim }}
  namespaceSelector:
    matchExpressions:
    - key: istio.io/rev
      operator: DoesNotExist
    - key: istio-injection
      operator: DoesNotExist
    - key: kubernetes.io/metadata.name
      operator: NotIn
      values:
      {{- include "mesh.excludedNamespaces" .root | nindent 6 }}
  objectSelector:
    matchExpressions:
    - key: sidecar.istio.io/inject
      operator: NotIn
      values: ["false"]
    - key: istio.io/rev
      operator: In
      values: [{{ .value | quote }}]
{{- end }}

{{/* A webhook for namespaces and one for pods that ask for a sidecar and name no revision.
     Argument: dict root. */}}
{{- define "mesh.injectByDefault" -}}
- {{ include "mesh.injector" (dict "root" .root "name" "namespace.sidecar-injector.mesh.dev") | nindent 2 | trim }}
  namespaceSelector:
    matchExpressions:
    - key: istio-injection
      operator: In
      values: ["enabled"]
    - key: kubernetes.io/metadata.name
      operator: NotIn
      values:
      {{- include "mesh.excludedNamespaces" .root | nindent 6 }}
      - {{ .root.Release.Namespace }}
  objectSelector:
    matchExpressions:
    - key: sidecar.istio.io/inject
      operator: NotIn
      values: ["false"]
- {{ include "mesh.injector" (dict "root" .root "name" "object.sidecar-injector.mesh.dev") | nindent 2 | trim }}
  namespaceSelector:
    matchExpressions:
    - key: istio-injection
      operator: DoesNotExist
    - key: istio.io/rev
      operator: DoesNotExist
    - key: kubernetes.io/metadata.name
      operator: NotIn
      values:
      {{- include "mesh.excludedNamespaces" .root | nindent 6 }}
  objectSelector:
    matchExpressions:
    - key: sidecar.istio.io/inject
      operator: In
      values: ["true"]
    - key: istio.io/rev
      operator: DoesNotExist
{{- if .root.Values.webhooks.enableNamespacesByDefault }}
- {{ include "mesh.injector" (dict "root" .root "name" "auto.sidecar-injector.mesh.dev") | nindent 2 | trim }}
  namespaceSelector:
    matchExpressions:
    - key: istio-injection
      operator: DoesNotExist
    - key: istio.io/rev
      operator: DoesNotExist
    - key: kubernetes.io/metadata.name
      operator: NotIn
      values:
      {{- include "mesh.excludedNamespaces" .root | nindent 6 }}
      - {{ .root.Release.Namespace }}
  objectSelector:
    matchExpressions:
    - key: sidecar.istio.io/inject
      operator: DoesNotExist
    - key: istio.io/rev
      operator: DoesNotExist
{{- end }}
{{- end }}

{{/* What all webhooks of validation share. Argument: dict root, name. */}}
{{- define "mesh.validator" -}}
name: {{ .name }}
clientConfig:
  service:
    name: {{ include "mesh.name" .root }}
    namespace: {{ .root.Release.Namespace }}
    path: /validate
    port: 443
{{- with .root.Values.webhooks.caBundle }}
  caBundle: {{ . }}
{{- end }}
rules:
- apiGroups: ["networking.istio.io", "security.istio.io", "telemetry.istio.io", "extensions.istio.io", "mesh.dev"]
  apiVersions: ["*"]
  operations: ["CREATE", "UPDATE"]
  resources: ["*"]
  scope: "*"
admissionReviewVersions: ["v1"]
sideEffects: None
failurePolicy: {{ .root.Values.webhooks.failurePolicy }}
timeoutSeconds: {{ .root.Values.webhooks.timeoutSeconds }}
namespaceSelector:
  matchExpressions:
  - key: kubernetes.io/metadata.name
    operator: NotIn
    values:
    {{- include "mesh.excludedNamespaces" .root | nindent 4 }}
{{- end }}
