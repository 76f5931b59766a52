use super::*;

const FILE: &str = "# Our application.
apiVersion: v1
kind: Service
metadata: {name: web}   # in short
spec: {ports: [{port: 80}]}
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata:
      labels: {app: web}
    spec:
      containers:
      - name: web
        image: web:1
        env:
        - {name: SWITCH, value: 'on'}
        - {name: NUMBER, value: \"08\"}
      volumes:
      - name: keys
        secret: {secretName: keys, defaultMode: 0640}
---
apiVersion: example.com/v1
kind: Own
spec: {x: 1}
---
apiVersion: v1
kind: Pod
metadata: {name: node, namespace: shop}
spec:
  hostNetwork: true
  containers: [{name: node, image: 'node:1'}]
";

fn injected(text: &str) -> InjectedFile {
    let context = InjectContext::default();
    inject_text("web.yaml", text, &InjectSettings::default(), &context).unwrap()
}

#[test]
fn leaves_everything_else_in_its_place() {
    let out = injected(FILE).to_yaml();
    let before: Vec<&str> = FILE.split("---\n").collect();
    let after: Vec<&str> = out.split("---\n").collect();
    assert_eq!(after.len(), 4);
    for index in [0, 2, 3] {
        assert_eq!(after[index], before[index]);
    }
    let deployment: Value = serde_saphyr::from_str(after[1]).unwrap();
    let spec = &deployment["spec"]["template"]["spec"];
    assert_eq!(spec["initContainers"][1]["name"], "istio-proxy");
    assert_eq!(spec["containers"][0]["env"][0]["value"], "on");
    assert_eq!(spec["containers"][0]["env"][1]["value"], "08");
    assert_eq!(spec["volumes"][0]["secret"]["defaultMode"], 0o640);
}

#[test]
fn says_what_was_left_out() {
    let notes: Vec<String> = injected(FILE).notes().collect();
    assert_eq!(
        notes,
        ["Pod shop/node: not injected: it uses the network of its node (hostNetwork)"]
    );
}

#[test]
fn does_it_once() {
    let once = injected(FILE).to_yaml();
    let twice = injected(&once);
    assert_eq!(twice.to_yaml(), once);
    assert!(
        twice
            .notes()
            .any(|note| note == "Deployment default/web: not injected: it has a proxy already")
    );
}

#[test]
fn gives_one_object_or_a_list_as_json() {
    let list: Value = serde_json::from_str(&injected(FILE).to_json().unwrap()).unwrap();
    assert_eq!(
        (&list["kind"], list["items"].as_array().unwrap().len()),
        (&json!("List"), 4)
    );
    let one = injected(r#"{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}}"#);
    let one: Value = serde_json::from_str(&one.to_json().unwrap()).unwrap();
    assert_eq!(one["kind"], "Service");
}

#[test]
fn names_file_and_document() {
    let settings = InjectSettings::default();
    let error = |text: &str| {
        let context = InjectContext::default();
        let result = inject_text("web.yaml", text, &settings, &context);
        result.unwrap_err().to_string()
    };
    assert!(
        error("a: 1\n---\nb: [").starts_with("web.yaml: document 2 (from line 2): this is no YAML")
    );
    assert!(error("- 1\n").ends_with("this is no Kubernetes object"));
    let wrong = "kind: Pod\napiVersion: v1\nmetadata:\n  name: a\n  annotations: {sidecar.istio.io/interceptionMode: TPROXY}\nspec: {containers: [{name: a}]}\n";
    let text = error(wrong);
    assert!(
        text.starts_with("web.yaml: document 1 (from line 1): Pod default/a: annotation sidecar.istio.io/interceptionMode"),
        "{text}"
    );
}

#[test]
fn a_list_is_injected_in_place() {
    let text = "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {containers: [{name: a, image: 'a:1'}]}}\n";
    let file = injected(text);
    let list: Value = serde_saphyr::from_str(&file.to_yaml()).unwrap();
    assert_eq!(
        list["items"][0]["spec"]["initContainers"][0]["name"],
        "istio-init"
    );
}

/// What the kubelet makes of a variable.
fn resolved(variable: &Value) -> String {
    match variable["value"].as_str() {
        Some(text) => text
            .replace("$(POD_NAMESPACE)", "shop")
            .replace("$(POD_NAME)", "web-5d9-x"),
        None => match variable["valueFrom"]["fieldRef"]["fieldPath"].as_str() {
            Some("status.podIPs") => "10.0.0.7,fd00::7".to_owned(),
            Some(path) => path.rsplit('.').next().unwrap().to_lowercase(),
            None => "2".to_owned(),
        },
    }
}

/// Arguments and environment of injected containers, read as the proxy's program reads them.
#[test]
fn the_proxy_understands_what_it_is_told() {
    use clap::{FromArgMatches as _, Subcommand as _};
    let commands = mesh_proxy::Command::augment_subcommands(clap::Command::new("mesh-proxy"));
    for annotations in [
        "{}",
        "{sidecar.istio.io/nativeSidecar: 'false', prometheus.io/port: '9102', prometheus.io/path: /m, proxy.istio.io/config: 'concurrency: 0'}",
        "{traffic.sidecar.istio.io/includeInboundPorts: '', traffic.sidecar.istio.io/excludeOutboundPorts: '3306,5432', traffic.sidecar.istio.io/includeOutboundIPRanges: 10.0.0.0/8, traffic.sidecar.istio.io/excludeInterfaces: docker0, status.sidecar.istio.io/port: '15022'}",
        "{inject.istio.io/templates: gateway}",
    ] {
        let text = format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: web, labels: {{app: web, version: v1}}, annotations: {annotations}}}\nspec: {{containers: [{{name: web, image: 'web:1', ports: [{{name: http, containerPort: 80}}], livenessProbe: {{httpGet: {{port: http, path: '/h?a=b'}}}}, readinessProbe: {{grpc: {{port: 81}}}}, lifecycle: {{preStop: {{tcpSocket: {{port: 82}}}}}}}}]}}\n"
        );
        let pod = injected(&text).documents[0].object.clone().unwrap();
        let spec = &pod["spec"];
        let containers = [&spec["initContainers"], &spec["containers"]]
            .into_iter()
            .filter_map(Value::as_array)
            .flatten();
        for container in containers {
            let name = container["name"].as_str().unwrap();
            if !name.starts_with("istio-") {
                continue;
            }
            let given = container["args"].as_array().unwrap().iter();
            let mut line: Vec<String> = vec!["mesh-proxy".to_owned()];
            line.extend(given.map(|word| word.as_str().unwrap().to_owned()));
            let run = commands.find_subcommand("run").unwrap();
            let variables = container["env"].as_array().into_iter().flatten();
            for variable in variables {
                let key = variable["name"].as_str().unwrap();
                if !key.starts_with("MESH_") {
                    continue;
                }
                let argument = run
                    .get_arguments()
                    .find(|argument| argument.get_env().is_some_and(|name| name == key));
                let argument = argument.unwrap_or_else(|| panic!("{key} means nothing"));
                line.push(format!(
                    "--{}={}",
                    argument.get_long().unwrap(),
                    resolved(variable)
                ));
            }
            let matches = commands.clone().try_get_matches_from(&line);
            let matches = matches.unwrap_or_else(|error| panic!("{line:?}: {error}"));
            match mesh_proxy::Command::from_arg_matches(&matches).unwrap() {
                mesh_proxy::Command::Run(args) => {
                    assert_eq!(name, "istio-proxy");
                    mesh_proxy::Settings::try_from(args.settings.clone())
                        .unwrap_or_else(|errors| panic!("{annotations}: {errors}"));
                }
                mesh_proxy::Command::Capture(mesh_proxy::command::CaptureCommand::Install(
                    args,
                )) => {
                    assert_eq!(name, "istio-init");
                    mesh_proxy::capture::CaptureOptions::try_from(&*args).unwrap();
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

const CONFIGS: &str = "# How proxies start.
apiVersion: networking.istio.io/v1beta1
kind: ProxyConfig
metadata: {name: all, namespace: istio-system}
spec: {concurrency: 1, environmentVariables: {TEAM: platform}}
---
apiVersion: v1
kind: List
items:
- apiVersion: networking.istio.io/v1beta1
  kind: ProxyConfig
  metadata: {name: web}
  spec:
    selector: {matchLabels: {app: web}}
    concurrency: 3
    image: {imageType: debug}
";

/// The variables of the proxy of `FILE`'s Deployment, whose namespace is this.
fn variables(configs: &FileConfigs, namespace: &str) -> [String; 2] {
    let context = InjectContext {
        namespace,
        proxy_configs: configs.configs(),
        ..InjectContext::default()
    };
    let injected = inject_text("web.yaml", FILE, &InjectSettings::default(), &context).unwrap();
    let deployment = injected.documents[1].object.as_ref().unwrap();
    let proxy = &deployment["spec"]["template"]["spec"]["initContainers"][1];
    let all = proxy["env"].as_array().unwrap();
    ["MESH_CONCURRENCY", "TEAM"].map(|name| {
        let found = all.iter().find(|variable| variable["name"] == name);
        let value = found.and_then(|variable| variable["value"].as_str());
        value.unwrap_or_default().to_owned()
    })
}

#[test]
fn proxy_configs_of_all_files_hold() {
    let files = [FILE, CONFIGS].map(|text| ("some.yaml".to_owned(), text.to_owned()));
    let read =
        |namespace: &str| FileConfigs::read(&files, &InjectSettings::default(), namespace).unwrap();
    let shop = read("shop");
    assert_eq!(variables(&shop, "shop"), ["3", "platform"]);
    assert_eq!(variables(&shop, "other"), ["1", "platform"]);
    assert_eq!(
        shop.notes().collect::<Vec<_>>(),
        [
            "ProxyConfig shop/web: warning: spec.image.imageType: `debug` has no effect: there is one image of the proxy [unsupported]"
        ]
    );
    let elsewhere = InjectSettings {
        mesh_namespace: "mesh".to_owned(),
        ..InjectSettings::default()
    };
    let other = FileConfigs::read(&files, &elsewhere, "shop").unwrap();
    assert_eq!(variables(&other, "shop"), ["3", ""]);
    assert_eq!(variables(&other, "other"), ["", ""]);
    // They pass unchanged.
    let context = InjectContext::default();
    let text = inject_text("c.yaml", CONFIGS, &InjectSettings::default(), &context).unwrap();
    assert_eq!(text.to_yaml(), CONFIGS);
}

#[test]
fn a_proxy_config_that_cannot_be_is_an_error_with_its_place() {
    let wrong = CONFIGS.replace("concurrency: 3", "concurrency: -3");
    let files = [("c.yaml".to_owned(), wrong)];
    let error = FileConfigs::read(&files, &InjectSettings::default(), "shop").unwrap_err();
    let error = error.to_string();
    assert!(
        error.starts_with("c.yaml: document 2 (from line 6): ProxyConfig web: spec.concurrency: "),
        "{error}"
    );
}
