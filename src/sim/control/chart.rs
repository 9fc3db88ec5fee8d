//! For tests: what the lab's chart puts into a cluster, from the first object to a round of kills.

use std::time::Duration;

use serde_json::json;

use super::kind::Kind;
use super::object::Object;
use super::stage::Stage;
use crate::sim::{Behaviour, Span};

/// The templates of `lab/charts/gadget-1.0.0` with their values filled in, without what only helm reads.
const CHART: &str = r"
apiVersion: v1
kind: Namespace
metadata: {name: gadget}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: gadgets.lab.lariat.dev}
spec:
  group: lab.lariat.dev
  names: {kind: Gadget, listKind: GadgetList, plural: gadgets, singular: gadget}
  scope: Namespaced
  versions:
    - name: v1
      served: true
      storage: true
      subresources: {status: {}}
      schema:
        openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {version: {type: string}}}, status: {type: object, properties: {state: {type: string}}}}}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: gadget, namespace: gadget}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: gadget-mover, namespace: gadget}
data: {move.sh: 'exit 0'}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: gadget-mover, namespace: gadget, labels: {app: gadget-mover}}
spec:
  replicas: 1
  strategy: {type: Recreate}
  selector: {matchLabels: {app: gadget-mover}}
  template:
    metadata: {labels: {app: gadget-mover}}
    spec:
      serviceAccountName: gadget
      hostNetwork: true
      terminationGracePeriodSeconds: 2
      containers:
        - name: mover
          image: lariat-lab/tools:1
          command: [sh, /etc/gadget/move.sh]
          volumeMounts: [{name: script, mountPath: /etc/gadget}]
      volumes: [{name: script, configMap: {name: gadget-mover}}]
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: gadget-node, namespace: gadget, labels: {app: gadget-node}}
spec:
  selector: {matchLabels: {app: gadget-node}}
  updateStrategy: {type: RollingUpdate, rollingUpdate: {maxUnavailable: 1}}
  template:
    metadata: {labels: {app: gadget-node, version: 1.0.0}}
    spec:
      automountServiceAccountToken: false
      terminationGracePeriodSeconds: 5
      tolerations: [{operator: Exists}]
      containers:
        - name: node
          image: lariat-lab/gadget:1.0.0
          ports: [{name: http, containerPort: 8080}]
          readinessProbe: {httpGet: {path: /ready, port: http}, periodSeconds: 1, failureThreshold: 1}
---
apiVersion: batch/v1
kind: Job
metadata: {name: gadget-after, namespace: gadget, labels: {app: gadget-hook}}
spec:
  backoffLimit: 0
  template:
    spec:
      restartPolicy: Never
      serviceAccountName: gadget
      containers: [{name: after, image: 'lariat-lab/hook:1'}]
";

#[tokio::test(start_paused = true)]
async fn the_labs_chart_comes_up_and_survives_its_kills() {
    let stage = Stage::new(1, &[Kind::POD]).await;
    let world = &stage.world;
    world.image("gadget", Behaviour::ready_after(Span::millis(4000, 4100)).with_file("/version", "${tag}"));
    world.image("hook", Behaviour::ends(Span::millis(800, 1200), 0));
    stage.apply(CHART).await;
    stage.until(&Kind::JOB, |jobs| jobs[0].is("Complete")).await;
    stage.apply("{apiVersion: lab.lariat.dev/v1, kind: Gadget, metadata: {name: gadget, namespace: gadget}, spec: {version: 1.0.0}}").await;
    let up = |sets: &[Object]| {
        sets[0].count("/status/numberReady") == 3 && sets[0].count("/status/updatedNumberScheduled") == 3
    };
    stage.until(&Kind::DAEMON_SET, up).await;
    stage.until(&Kind::DEPLOYMENT, |all| all[0].is("Available")).await;
    for _ in 0..3 {
        let old: Vec<String> = nodes(&stage).iter().map(|pod| pod.uid().to_owned()).collect();
        assert_eq!(old.len(), 3);
        for pod in nodes(&stage) {
            let path = Kind::POD.object(&pod.key());
            let body = json!({"gracePeriodSeconds": 0}).to_string().into_bytes();
            let asked = super::write::request("DELETE", &path, "tester", "application/json", body);
            world.client().request::<serde_json::Value>(asked).await.unwrap();
        }
        let back = |pods: &[Object]| {
            let mine = pods.iter().filter(|pod| pod.label("app") == Some("gadget-node"));
            mine.filter(|pod| pod.is("Ready") && !old.contains(&pod.uid().to_owned())).count() == 3
        };
        let took = stage.until(&Kind::POD, back).await;
        assert!((Duration::from_secs(5)..Duration::from_secs(9)).contains(&took), "{took:?}");
    }
}

fn nodes(stage: &Stage) -> Vec<Object> {
    stage.objects(&Kind::POD).into_iter().filter(|pod| pod.label("app") == Some("gadget-node")).collect()
}
