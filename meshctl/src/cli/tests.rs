use clap::CommandFactory as _;

use super::*;

fn parse(line: &str) -> Result<Command, clap::Error> {
    Cli::try_parse_from(line.split(' ')).map(|cli| cli.command)
}

#[test]
fn the_tree_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn every_command_has_help_with_examples() {
    let foreign = ["control-plane", "proxy", "ca", "internal"];
    let mut cli = Cli::command();
    assert!(cli.render_help().to_string().contains("Examples:"));
    for command in cli.get_subcommands_mut() {
        let name = command.get_name().to_owned();
        let help = command.render_long_help().to_string();
        assert!(command.get_about().is_some(), "{name} has no description");
        assert!(
            foreign.contains(&name.as_str()) || help.contains("Examples:"),
            "{name} has no examples"
        );
    }
}

#[test]
fn every_command_on_a_mesh_takes_its_state_directory() {
    let mut cli = Cli::command();
    for name in [
        "demo",
        "up",
        "exec",
        "status",
        "config",
        "down",
        "explain",
        "analyze",
        "wait",
        "token",
        "dashboard",
        "bug-report",
    ] {
        let command = cli.find_subcommand_mut(name).unwrap();
        assert!(
            command
                .get_arguments()
                .any(|arg| arg.get_long() == Some("state")),
            "{name}"
        );
    }
}

#[test]
fn every_command_that_asks_takes_a_cluster() {
    let mut cli = Cli::command();
    for name in [
        "demo",
        "exec",
        "status",
        "config",
        "explain",
        "analyze",
        "wait",
        "dashboard",
        "bug-report",
    ] {
        let command = cli.find_subcommand_mut(name).unwrap();
        for option in [
            "context",
            "kubeconfig",
            "cluster",
            "namespace",
            "mesh-namespace",
        ] {
            let found = command
                .get_arguments()
                .any(|arg| arg.get_long() == Some(option));
            assert!(found, "{name} --{option}");
        }
    }
    let Command::Status(status) =
        parse("meshctl status --context c --kubeconfig k -n shop --mesh-namespace mesh").unwrap()
    else {
        panic!("status")
    };
    let selection = status.mesh.selection();
    assert!(selection.names_cluster());
    assert_eq!(selection.cluster.namespace.as_deref(), Some("shop"));
    assert_eq!(selection.cluster.mesh_namespace.as_deref(), Some("mesh"));

    let Command::Dashboard(dashboard) =
        parse("meshctl dashboard --context c proxy reviews-v1 --port 9000").unwrap()
    else {
        panic!("dashboard")
    };
    assert_eq!(dashboard.page, Page::Proxy);
    assert_eq!(dashboard.workload.as_deref(), Some("reviews-v1"));
    assert_eq!(dashboard.port, Some(9000));
}

#[test]
fn reads_what_the_documents_show() {
    let Command::Up(up) = parse(
        "meshctl up mesh.yaml --config a --config b/c.yaml --capture transparent --state /tmp/x",
    )
    .unwrap() else {
        panic!("up")
    };
    assert_eq!(up.config, [PathBuf::from("a"), PathBuf::from("b/c.yaml")]);
    assert_eq!(up.capture, Capture::Transparent);
    assert_eq!(up.state.state.unwrap(), PathBuf::from("/tmp/x"));

    let Command::Exec(exec) = parse("meshctl exec reviews-v1 -- curl -H a:b http://x").unwrap()
    else {
        panic!("exec")
    };
    assert_eq!(exec.command, ["curl", "-H", "a:b", "http://x"]);

    let Command::Explain(explain) =
        parse("meshctl explain --from p -X POST -H end-user:jason -o json http://reviews:9080/r")
            .unwrap()
    else {
        panic!("explain")
    };
    assert_eq!(explain.method, http::Method::POST);
    assert_eq!(explain.headers[0].0, "end-user");
    assert_eq!(explain.output.output, Output::Json);

    let Command::Demo(demo) = parse("meshctl demo --check --port 8081").unwrap() else {
        panic!("demo")
    };
    assert!(demo.check);
    assert_eq!(demo.port, Some(8081));

    let Command::Wait(wait) = parse("meshctl wait --revision 3 --timeout 250ms").unwrap() else {
        panic!("wait")
    };
    assert_eq!(wait.timeout, Duration::from_millis(250));
}

#[test]
fn refuses_with_a_reason() {
    for (line, part) in [
        ("meshctl up", "MESH.yaml"),
        ("meshctl exec reviews-v1", "COMMAND"),
        ("meshctl explain http://x", "--from"),
        ("meshctl explain --from a -H bad http://x", "name: value"),
        (
            "meshctl explain --from a --mesh m.yaml http://x",
            "--config",
        ),
        ("meshctl up m.yaml --capture magic", "explicit"),
        ("meshctl wait --timeout soon", "no duration"),
        ("meshctl analyze --mesh m.yaml", "PATH"),
        ("meshctl status --state s --context c", "--context"),
        ("meshctl dashboard proxy", "WORKLOAD"),
        ("meshctl demo --compose d --cluster", "--cluster"),
        ("meshctl wait --revision 3 --context c", "--context"),
        ("meshctl demo --port 70000", "70000"),
        ("meshctl completions csh", "bash"),
    ] {
        let error = parse(line).unwrap_err().to_string();
        assert!(error.contains(part), "{line}\n{error}");
    }
}
