use serde_json::json;

use super::*;

fn render(text: &str, data: &Value) -> Result<String, String> {
    let mut templates = Templates::default();
    templates
        .add(
            "defined.tpl",
            "{{/* ignored */}}{{- define \"greet\" -}}\nhello {{ .name }}\n{{- end }}",
        )
        .unwrap();
    templates
        .add("t.yaml", text)
        .map_err(|error| error.to_string())?;
    templates
        .render("t.yaml", data)
        .map_err(|error| error.to_string())
}

#[test]
fn renders_as_go_does() {
    let data = json!({
        "a": {"b": "x", "empty": "", "zero": 0, "yes": true},
        "list": [1, "two"],
        "map": {"z": 1, "b": 2},
        "name": "world",
    });
    for (text, want) in [
        ("{{ .a.b }}-{{ $.a.b }}-{{ $.a.missing }}.", "x-x-."),
        ("a {{- /* gone */ -}} b", "ab"),
        ("a\n  {{- if .a.yes }}\nb\n  {{- end }}\nc", "a\nb\nc"),
        (
            "{{ if .a.empty }}1{{ else if .a.zero }}2{{ else }}3{{ end }}",
            "3",
        ),
        (
            "{{ with .a }}{{ .b }}{{ $.name }}{{ end }}{{ with .nope }}x{{ else }}{{ .name }}{{ end }}",
            "xworldworld",
        ),
        ("{{ range .list }}[{{ . }}]{{ end }}", "[1][two]"),
        (
            "{{ range $i, $x := .list }}{{ $i }}={{ $x }},{{ end }}",
            "0=1,1=two,",
        ),
        (
            "{{ range $k, $v := .map }}{{ $k }}={{ $v }},{{ end }}",
            "b=2,z=1,",
        ),
        ("{{ range .a.empty | list }}x{{ else }}none{{ end }}", "x"),
        ("{{ range .nope }}x{{ else }}none{{ end }}", "none"),
        (
            "{{ $x := 1 }}{{ if true }}{{ $x = 2 }}{{ $x := 3 }}{{ end }}{{ $x }}",
            "2",
        ),
        ("{{ include \"greet\" . }}", "hello world"),
        (
            "a:{{ include \"greet\" . | nindent 2 }}",
            "a:\n  hello world",
        ),
        ("{{ include \"greet\" (dict \"name\" .a.b) }}", "hello x"),
        ("{{ (dict \"p\" .a).p.b | quote }}", "\"x\""),
        ("{{ printf \"%s/%d:%v%%\" .a.b 3 true }}", "x/3:true%"),
        (
            "{{ .a.empty | default \"d\" }}{{ default 7 .a.zero }}{{ default 7 .a.b }}",
            "d7x",
        ),
        ("{{ toYaml .map }}", "b: 2\nz: 1"),
        ("{{ indent 2 \"a\\nb\" }}", "  a\n  b"),
        (
            "{{ if and .a.b (not .a.zero) }}y{{ end }}{{ or .a.empty .name }}",
            "yworld",
        ),
        (
            "{{ eq .a.b \"y\" \"x\" }} {{ ne .a.b \"x\" }} {{ gt (int \"3\") 2 }}",
            "true false true",
        ),
        ("{{ append .list 1 | uniq | toYaml }}", "- 1\n- two"),
        ("{{ `raw \"}}` }}{{ \"}}\" }}", "raw \"}}}}"),
        (
            "{{ quote 1 nil \"a\\\"b\" }}{{ \" x \" | trim }}",
            "\"1\" \"a\\\"b\"x",
        ),
    ] {
        assert_eq!(render(text, &data).as_deref(), Ok(want), "{text}");
    }
}

#[test]
fn says_where_and_what_is_wrong() {
    for (text, want) in [
        ("a\n{{ .a", "t.yaml:2: `{{` without `}}`"),
        ("\n\n{{ if true }}", "t.yaml:3: `if` has no `end`"),
        ("{{ end }}", "an `end` too many"),
        ("{{ else }}", "`else` without `if`"),
        ("{{ nosuch 1 }}", "there is no function `nosuch`"),
        ("{{ include \"nosuch\" . }}", "nobody defines \"nosuch\""),
        ("{{ .a.b }}", "`.b` of a number, which has no fields"),
        ("{{ $x }}", "there is no variable $x"),
        ("{{ . }}", "a map cannot be printed: use toYaml"),
        ("{{ 1.5 }}", "which has no fields"),
        ("{{ 1 2 }}", "takes no arguments"),
        ("{{ eq 1 \"1\" }}", "eq: wrong arguments"),
        ("{{ printf \"%q\" 1 }}", "only %s, %d, %v"),
        ("{{ template \"x\" }}", "`template` is not supported"),
        ("{{ ( .a }}", "`)` is missing"),
        ("{{ range $i, 1 }}{{ end }}", "write `range $key, $value"),
    ] {
        let error = render(text, &json!({"a": 1})).unwrap_err();
        assert!(error.contains(want), "{text}: {error}");
    }
}

#[test]
fn a_template_that_includes_itself_ends() {
    let mut templates = Templates::default();
    let text = "{{ define \"a\" }}{{ include \"a\" . }}{{ end }}{{ include \"a\" . }}";
    templates.add("t", text).unwrap();
    let error = templates.render("t", &Value::Null).unwrap_err();
    assert!(error.to_string().contains("includes itself"), "{error}");
}
