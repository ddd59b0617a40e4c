import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { parse } from "yaml";
import { catalogue } from "../../src/engine/observe/catalogue.ts";

const k8s = new URL("../../k8s/", import.meta.url);
const read = (path: string): string => readFileSync(new URL(path, k8s), "utf8");

interface Resource {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly labels?: Record<string, string> };
}
interface Deployment extends Resource {
  readonly spec: {
    readonly strategy: unknown;
    readonly selector: { readonly matchLabels: Record<string, string> };
    readonly template: {
      readonly metadata: {
        readonly annotations: Record<string, string>;
        readonly labels: Record<string, string>;
      };
      readonly spec: PodSpec;
    };
  };
}
interface PodSpec {
  readonly serviceAccountName: string;
  readonly automountServiceAccountToken: boolean;
  readonly terminationGracePeriodSeconds: number;
  readonly securityContext: Record<string, unknown>;
  readonly containers: readonly Container[];
  readonly volumes: readonly { readonly name: string; readonly emptyDir?: unknown }[];
}
interface Container {
  readonly image: string;
  readonly args: readonly string[];
  readonly ports: readonly { readonly name: string; readonly containerPort: number }[];
  readonly env?: readonly unknown[];
  readonly envFrom: readonly Record<string, { readonly name: string }>[];
  readonly resources: Record<"requests" | "limits", Record<string, string>>;
  readonly securityContext: Record<string, unknown>;
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
  readonly startupProbe: Probe;
  readonly livenessProbe: Probe;
  readonly readinessProbe: Probe;
}
interface Probe {
  readonly httpGet: { readonly path: string; readonly port: string };
}

const resourceOf = <T extends Resource>(file: string): T => parse(read(`base/${file}`)) as T;
const deployment = resourceOf<Deployment>("deployment.yaml");
const pod = deployment.spec.template.spec;
const [worker] = pod.containers as readonly [Container];
const port = 9464;

test("the kustomization lists every other file of the base, and no other", () => {
  const { resources } = parse(read("base/kustomization.yaml")) as { resources: string[] };
  const files = readdirSync(new URL("base/", k8s)).filter((file) => file !== "kustomization.yaml");
  assert.deepEqual(resources.toSorted(), files.toSorted());
});

test("every resource has the name and the label that the selectors look for", () => {
  const label = { "app.kubernetes.io/name": "millrace" };
  const kinds = readdirSync(new URL("base/", k8s))
    .filter((file) => file !== "kustomization.yaml")
    .map((file) => {
      const { kind, metadata } = resourceOf(file);
      assert.deepEqual(metadata, { name: "millrace", labels: label }, file);
      return kind;
    });
  assert.deepEqual(kinds.toSorted(), [
    "ConfigMap",
    "Deployment",
    "NetworkPolicy",
    "PodDisruptionBudget",
    "Service",
    "ServiceAccount",
  ]);
  assert.deepEqual(deployment.spec.selector.matchLabels, label);
  assert.deepEqual(deployment.spec.template.metadata.labels, label);
  const specOf = (file: string): { selector?: unknown; podSelector?: unknown } =>
    resourceOf<Resource & { spec: Record<string, unknown> }>(file).spec;
  assert.deepEqual(specOf("service.yaml").selector, label);
  assert.deepEqual(specOf("pdb.yaml").selector, { matchLabels: label });
  assert.deepEqual(specOf("network-policy.yaml").podSelector, { matchLabels: label });
});

test("probes ask /live and /ready on the operations port", () => {
  assert.deepEqual(worker.ports, [{ name: "operations", containerPort: port }]);
  const ask = (probe: Probe): unknown => probe.httpGet;
  assert.deepEqual(ask(worker.startupProbe), { path: "/live", port: "operations" });
  assert.deepEqual(ask(worker.livenessProbe), { path: "/live", port: "operations" });
  assert.deepEqual(ask(worker.readinessProbe), { path: "/ready", port: "operations" });
});

test("the pod meets Pod Security restricted, and its root file system is read-only", () => {
  assert.equal(pod.containers.length, 1);
  assert.equal(pod.securityContext["runAsNonRoot"], true);
  assert.ok(Number(pod.securityContext["runAsUser"]) > 0);
  assert.deepEqual(pod.securityContext["seccompProfile"], { type: "RuntimeDefault" });
  assert.deepEqual(worker.securityContext, {
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ["ALL"] },
  });
  for (const { name, mountPath } of worker.volumeMounts) {
    assert.equal(mountPath, "/tmp");
    assert.ok(pod.volumes.find((volume) => volume.name === name)?.emptyDir);
  }
});

test("the pod has no token of the Kubernetes API", () => {
  const account = resourceOf<Resource & { automountServiceAccountToken: boolean }>(
    "service-account.yaml",
  );
  assert.equal(pod.serviceAccountName, account.metadata.name);
  assert.equal(account.automountServiceAccountToken, false);
  assert.equal(pod.automountServiceAccountToken, false);
});

test("resources are limited and there is time to drain", () => {
  for (const amounts of [worker.resources.requests, worker.resources.limits])
    assert.deepEqual(Object.keys(amounts).toSorted(), ["cpu", "memory"]);
  // Kubernetes' default is 30; a commit in flight may take as long as its transaction's time-out.
  assert.ok(pod.terminationGracePeriodSeconds >= 45);
  assert.deepEqual(deployment.spec.strategy, {
    type: "RollingUpdate",
    rollingUpdate: { maxSurge: 0, maxUnavailable: 1 },
  });
});

test("settings come from the ConfigMap, secrets from a Secret that is not in the repository", () => {
  assert.deepEqual(worker.envFrom, [
    { configMapRef: { name: "millrace" } },
    { secretRef: { name: "millrace-secrets" } },
  ]);
  assert.equal(worker.env, undefined);
  const { data } = resourceOf<Resource & { data: Record<string, string> }>("configmap.yaml");
  assert.equal(data["MILLRACE_HTTP_PORT"], String(port));
  assert.equal(data["MILLRACE_HTTP_HOST"], "0.0.0.0");
  for (const [name, value] of Object.entries(data)) {
    assert.doesNotMatch(name, /PASSWORD|USERNAME|_KEY$|TOKEN|DATABASE_URL|REDIS_URL/);
    assert.doesNotMatch(value, /@/, name);
  }
});

test("Prometheus is told where to scrape", () => {
  assert.deepEqual(deployment.spec.template.metadata.annotations, {
    "prometheus.io/scrape": "true",
    "prometheus.io/port": String(port),
    "prometheus.io/path": "/metrics",
  });
});

test("the heap leaves room below the memory limit for what is not heap", () => {
  const { data } = parse(read("base/configmap.yaml")) as { data: Record<string, string> };
  const megabytes = (option: string): number =>
    Number(new RegExp(`--max-${option}-size=(\\d+)`).exec(data["NODE_OPTIONS"] ?? "")?.[1]);
  const heap = megabytes("old-space") + 3 * megabytes("semi-space");
  const limit = parseInt(worker.resources.limits["memory"] ?? "", 10);
  assert.ok(heap > 0 && heap <= 0.65 * limit, `${String(heap)} of ${String(limit)} MB`);
});

test("the image has a version, never latest", () => {
  const { images } = parse(read("base/kustomization.yaml")) as {
    images: { name: string; newTag: string }[];
  };
  const { version } = JSON.parse(read("../package.json")) as { version: string };
  assert.deepEqual(images, [{ name: worker.image, newTag: version }]);
});

interface Peer {
  readonly podSelector?: { readonly matchLabels?: Record<string, string> };
  readonly namespaceSelector?: { readonly matchLabels?: Record<string, string> };
  readonly ipBlock?: { readonly cidr: string };
}
interface Rule {
  readonly from?: readonly Peer[];
  readonly to?: readonly Peer[];
  readonly ports: readonly { readonly port: number | string }[];
}
type Policy = Resource & {
  spec: { podSelector: unknown; policyTypes: string[]; ingress: Rule[]; egress: Rule[] };
};

test("the network policy lets only Prometheus in, and out only to servers known by label and port", () => {
  const { spec } = resourceOf<Policy>("network-policy.yaml");
  assert.deepEqual(spec.policyTypes, ["Ingress", "Egress"]);
  assert.deepEqual(
    spec.ingress.map((rule) => [rule.from !== undefined, rule.ports[0]?.port]),
    [[true, "operations"]],
  );
  const out = spec.egress.map(({ to = [], ports }) => [
    to.map(({ podSelector }) => Object.values(podSelector?.matchLabels ?? {})).flat(),
    [...new Set(ports.map((each) => each.port))],
  ]);
  assert.deepEqual(out, [
    [["kube-dns"], [53]],
    [["kafka"], [9092, 9093]],
    [["schema-registry"], [8080]],
    [["redis"], [6379]],
    [["postgresql"], [5432]],
  ]);
});

test("the example for servers elsewhere is a policy of the same pods, narrow, and only adds ways out", () => {
  const { kind, spec } = parse(read("examples/servers-elsewhere.yaml")) as Policy;
  assert.equal(kind, "NetworkPolicy");
  assert.deepEqual(spec.podSelector, resourceOf<Policy>("network-policy.yaml").spec.podSelector);
  assert.deepEqual(spec.policyTypes, ["Egress"]);
  for (const { to = [], ports } of spec.egress) {
    assert.ok(ports.length > 0);
    for (const { ipBlock, podSelector, namespaceSelector } of to)
      if (ipBlock === undefined)
        assert.ok(podSelector?.matchLabels !== undefined && namespaceSelector !== undefined);
      else assert.ok(Number(ipBlock.cidr.split("/")[1]) >= 24, ipBlock.cidr);
  }
});

const defaults = /^(process|nodejs)_/;
/** Names of metrics in a query, with the suffixes of histograms taken off. */
const metricsIn = (query: string): readonly string[] =>
  [...query.matchAll(/\b(?:millrace|process|nodejs)_[a-z0-9_]+/g)].map(([name]) =>
    name.replace(
      /(?<=millrace_(checkpoint_seconds|checkpoint_records|call_seconds))_(bucket|sum|count)$/,
      "",
    ),
  );

/** Fails for a metric that is not in the catalogue, and for a label that its metrics do not have. */
function assertKnown(query: string): void {
  const names = metricsIn(query);
  assert.ok(names.length > 0, `no metric in ${query}`);
  const specs = names.flatMap((name) => catalogue.filter((spec) => spec.name === name));
  for (const name of names)
    assert.ok(defaults.test(name) || specs.some((spec) => spec.name === name), `${name}: ${query}`);
  const labels = new Set(["instance", "le", ...specs.flatMap((spec) => Object.keys(spec.labels))]);
  const used = [
    ...[...query.matchAll(/([a-z_]+)\s*(?:=~|!~|!=|=)\s*"/g)].map((match) => match[1] ?? ""),
    ...[...query.matchAll(/\b(?:by|on) \(([^)]*)\)/g)].flatMap((m) => (m[1] ?? "").split(/, */)),
  ];
  for (const label of used) assert.ok(labels.has(label), `${label}: ${query}`);
}

interface Panel {
  readonly id: number;
  readonly title: string;
  readonly type: string;
  readonly gridPos: Record<"x" | "y" | "w" | "h", number>;
  readonly datasource?: unknown;
  readonly targets?: readonly { readonly expr: string; readonly datasource: unknown }[];
}
const dashboard = JSON.parse(read("dashboards/overview.json")) as {
  readonly uid: string;
  readonly templating: {
    readonly list: readonly { name: string; type: string; definition?: string }[];
  };
  readonly panels: readonly Panel[];
};
const queries = dashboard.panels.flatMap((panel) => panel.targets ?? []);

test("every query of the dashboard uses metrics and labels of the catalogue", () => {
  assert.ok(queries.length > 20);
  for (const { expr } of queries) assertKnown(expr);
});

test("every metric of the catalogue that can tell trouble is on the dashboard", () => {
  const shown = new Set(queries.flatMap(({ expr }) => metricsIn(expr)));
  const hidden = catalogue.map((spec) => spec.name).filter((name) => !shown.has(name));
  assert.deepEqual(hidden, ["millrace_build_info"]);
});

test("the dashboard filters by pipeline, topic and partition, from any data source", () => {
  const variables = dashboard.templating.list;
  assert.deepEqual(
    variables.map((each) => each.name),
    ["datasource", "pipeline", "topic", "partition"],
  );
  for (const { type, definition } of variables.slice(1)) {
    assert.equal(type, "query");
    assertKnown((definition ?? "").replace(/label_values\((.*), *\w+\)/, "$1"));
  }
  const source = { type: "prometheus", uid: "${datasource}" };
  for (const panel of dashboard.panels.filter((each) => each.type !== "row"))
    for (const at of [panel, ...(panel.targets ?? [])])
      assert.deepEqual(at.datasource, source, panel.title);
});

test("checkpoint time is shown as p50, p95 and p99", () => {
  const panel = dashboard.panels.find((each) => each.title === "Checkpoint time");
  const shares = panel?.targets?.map(({ expr }) => /histogram_quantile\(([\d.]+)/.exec(expr)?.[1]);
  assert.deepEqual(shares, ["0.5", "0.95", "0.99"]);
});

test("panels have ids of their own, stay inside the grid and do not overlap", () => {
  const { panels } = dashboard;
  assert.equal(new Set(panels.map((panel) => panel.id)).size, panels.length);
  const cells = new Set<string>();
  for (const { title, gridPos } of panels) {
    assert.ok(gridPos.x + gridPos.w <= 24, title);
    for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++)
      for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
        const cell = `${String(x)},${String(y)}`;
        assert.ok(!cells.has(cell), `${title} lies over another panel`);
        cells.add(cell);
      }
  }
});

interface AlertRule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: Record<string, string>;
  readonly annotations: Record<string, string>;
}
const rules = (
  parse(read("alerts/millrace.rules.yaml")) as { groups: { rules: AlertRule[] }[] }
).groups.flatMap((group) => group.rules);

test("every alert uses metrics and labels of the catalogue", () => {
  assert.ok(rules.length > 0);
  for (const { expr } of rules) assertKnown(expr);
});

test("every alert says who it wakes, what has happened and what to do", () => {
  for (const { alert, labels, annotations } of rules) {
    assert.match(alert, /^Millrace[A-Z]/);
    assert.ok(["page", "warn"].includes(labels["severity"] ?? ""), alert);
    assert.ok(annotations["summary"] && annotations["action"], alert);
  }
});

test("alerts on a stalled partition, dead letters, fencing, restarts and lag are there", () => {
  const names = new Set(rules.map((rule) => rule.alert.replace("Millrace", "")));
  for (const name of [
    "PartitionStalled",
    "DeadLetterRate",
    "Fenced",
    "RestartLoop",
    "LagSeconds",
    "LedgerImbalance",
  ])
    assert.ok(names.has(name), name);
});

test("letters are measured against the records of their own part", () => {
  const { expr = "" } = rules.find(({ alert }) => alert === "MillraceDeadLetterRate") ?? {};
  const sums = [...expr.matchAll(/sum by \(([^)]*)\)/g)].map(([, labels]) => labels);
  assert.deepEqual(sums, ["pipeline, part", "pipeline, part"]);
});

test("alerts on lag look at seconds since the append, not at the time of a record", () => {
  const stalled = rules.find(({ alert }) => alert === "MillracePartitionStalled")?.expr ?? "";
  assert.match(
    stalled,
    /^millrace_lag_seconds > 300 unless on \(.*\) time\(\) - millrace_last_commit/,
  );
});
