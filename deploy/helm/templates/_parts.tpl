{{- /*
Parts of more than one object. Only what Go's own templates can do is used here and in the other files,
so that any engine of theirs renders the chart.
*/ -}}
{{- define "labels" -}}
app.kubernetes.io/part-of: shop
    app.kubernetes.io/managed-by: {{ .Release.Service }}
    app.kubernetes.io/instance: {{ .Release.Name }}
    helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}
{{- define "pod" -}}
automountServiceAccountToken: false
      {{- if .Values.imagePullSecrets }}
      imagePullSecrets:
        {{- range .Values.imagePullSecrets }}
        - { name: {{ . }} }
        {{- end }}
      {{- end }}
      {{- if .Values.nodeSelector }}
      nodeSelector:
        {{- range $key, $value := .Values.nodeSelector }}
        {{ $key }}: {{ printf "%q" $value }}
        {{- end }}
      {{- end }}
      securityContext:
        runAsNonRoot: true
        runAsUser: 1000
        seccompProfile: { type: RuntimeDefault }
      volumes:
        - name: tmp
          emptyDir: {}
{{- end -}}
{{- define "confined" -}}
securityContext:
            allowPrivilegeEscalation: false
            readOnlyRootFilesystem: true
            capabilities: { drop: [ALL] }
          volumeMounts:
            - { name: tmp, mountPath: /tmp }
{{- end -}}
{{- define "resources" -}}
resources:
            requests: { cpu: {{ .cpu }}, memory: {{ .memory }} }
            limits: { memory: {{ .memoryLimit }} }
{{- end -}}
