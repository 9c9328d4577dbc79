//! Documents as nasty as YAML allows, for the editor of manifests.

/// Documents with unique names. Most contain `metadata` in some form; a patch fits some documents
/// and is refused on others.
pub const DOCUMENTS: &[(&str, &str)] = &[
    // As charts and kubectl write documents.
    ("plain", "apiVersion: v1\nkind: A\nmetadata:\n  name: a\n"),
    (
        "labels",
        "metadata:\n  labels:\n    app: a\n    old: x\n  name: a\n",
    ),
    (
        "annotations",
        "metadata:\n  annotations:\n    a: b\n  name: a\n",
    ),
    (
        "both maps",
        "metadata:\n  annotations:\n    a: b\n    keep: delete\n  labels:\n    old: x\n    app: a\nspec: {}\n",
    ),
    (
        "already so",
        "metadata:\n  annotations:\n    keep: keep\n  labels:\n    owner: Helm\n",
    ),
    (
        "source comment",
        "---\n# Source: chart/templates/a.yaml\napiVersion: v1\nkind: A\nmetadata:\n  name: a\n",
    ),
    (
        "status last",
        "kind: A\nmetadata:\n  name: a\nspec:\n  a: 1\nstatus: {}\n",
    ),
    (
        "metadata last",
        "kind: A\nspec:\n  a:\n  - b\nmetadata:\n  name: a\n  labels:\n    old: x",
    ),
    (
        "only one label",
        "metadata:\n  name: a\n  labels:\n    old: x\nspec: 1\n",
    ),
    ("only label, last line", "metadata:\n  labels:\n    old: x"),
    ("no metadata", "kind: A\nspec: {}\n"),
    (
        "deep indentation",
        "metadata:\n        labels:\n                app: a\n                old: b\n        name: x\n",
    ),
    (
        "indentation of one",
        "metadata:\n labels:\n  app: a\n name: x\n",
    ),
    (
        "uneven indentation",
        "metadata:\n    labels:\n     app: a\n     old: b\n    annotations:\n          a: b\n",
    ),
    (
        "blank lines",
        "metadata:\n\n  labels:\n\n    app: a\n\n    old: b\n\n  name: x\n\n",
    ),
    (
        "lines of blanks",
        "metadata:\n   \n  labels:\n      \n    app: a\n  \n  name: x\n",
    ),
    (
        "blanks at the end of lines",
        "metadata:  \n  labels:   \n    app: a  \n    old: b   \n  name: x \n",
    ),
    (
        "owner references",
        "metadata:\n  ownerReferences:\n  - apiVersion: v1\n    name: a\n  name: b\n",
    ),
    (
        "finalizers, indentless",
        "metadata:\n  finalizers:\n  - a\n  - b\n  labels:\n    old: x\n",
    ),
    (
        "labels of a template",
        "metadata:\n  name: a\nspec:\n  template:\n    metadata:\n      labels:\n        old: x\n",
    ),
    (
        "last applied",
        "metadata:\n  annotations:\n    last: |\n      {\"metadata\":{\"labels\":{\"old\":\"x\"}}}\n  name: x\n",
    ),
    // Comments.
    (
        "comment behind the key",
        "metadata: # here\n  labels: # there\n    app: a # a\n    old: b # b\n",
    ),
    (
        "comment between key and value",
        "metadata:\n  # first\n  labels:\n    # second\n    app: a\n    # third\n    old: b\n  # last\n",
    ),
    (
        "comment at the margin",
        "metadata:\n# first\n  labels:\n# second\n    app: a\n#third\n    old: b\n",
    ),
    (
        "comment deeper than the map",
        "metadata:\n        # first\n  labels:\n            # second\n    app: a\n",
    ),
    (
        "comment with a colon",
        "metadata:\n  # labels: {old: x}\n  name: a # labels: b\n",
    ),
    (
        "hash inside a word",
        "metadata:\n  labels:\n    app: a#b\n    old: 'x # y'\n  name: a#\n",
    ),
    (
        "empty map with comment",
        "metadata:\n  labels: # none\n  annotations: {} # none\n",
    ),
    (
        "comment ends the document",
        "metadata:\n  labels:\n    old: x\n# end",
    ),
    ("comments in front", "# a\n\n# b\nmetadata:\n  name: a\n"),
    (
        "comment behind the marker",
        "--- # a\nmetadata:\n  name: a\n... # b\n",
    ),
    (
        "document of comments",
        "# nothing\n# at all\n---\nmetadata: {name: a}\n",
    ),
    // Empty values.
    ("metadata is empty", "kind: A\nmetadata:\nspec: 1\n"),
    ("metadata is empty, last", "kind: A\nmetadata:"),
    ("metadata is a tilde", "metadata: ~\n"),
    ("metadata is null", "metadata: null # c\nkind: A\n"),
    (
        "labels are null",
        "metadata:\n  labels: null\n  annotations: ~\n",
    ),
    (
        "labels are Null and NULL",
        "metadata:\n  labels: Null\n  annotations: NULL\n",
    ),
    (
        "labels are empty",
        "metadata:\n  labels:\n  annotations:\n  name: a\n",
    ),
    (
        "labels are empty, last",
        "metadata:\n  name: a\n  labels:\n",
    ),
    (
        "labels are an empty map",
        "metadata:\n  labels: {}\n  annotations: { }\n",
    ),
    ("labels are an empty text", "metadata:\n  labels: ''\n"),
    ("labels are a text", "metadata:\n  labels: none\n"),
    (
        "labels are a sequence",
        "metadata:\n  labels:\n  - a\n  - b\n",
    ),
    ("labels are a number", "metadata:\n  labels: 0\n"),
    (
        "label without a value",
        "metadata:\n  labels:\n    old:\n    app:\n",
    ),
    (
        "tagged null",
        "metadata:\n  labels: !!null\n  annotations: !!null null\n",
    ),
    // Quotes.
    (
        "keys in double quotes",
        "\"metadata\":\n  \"labels\":\n    \"app\": \"a\"\n    \"old\": \"b\"\n",
    ),
    (
        "keys in single quotes",
        "'metadata':\n  'labels':\n    'app': 'a'\n    'old': 'b'\n",
    ),
    (
        "escape that is none",
        "\"meta\\u0064ata\":\n  \"\\x6cabels\":\n    \"o\\154d\": x\n",
    ),
    (
        "key with escapes",
        "\"metadat\\x61\":\n  \"labels\": {\"ol\\u0064\": \"x\"}\n",
    ),
    (
        "quotes within quotes",
        "metadata:\n  annotations:\n    a: 'it''s'\n    b: \"say \\\"keep\\\"\"\n    keep: 'de''lete'\n",
    ),
    (
        "quoted over lines",
        "metadata:\n  annotations:\n    a: \"one\n      two\"\n    keep: 'de\n\n      lete'\n",
    ),
    (
        "quoted, continued at the margin",
        "data: \"one\nmetadata:\n  labels: {old: x}\n\"\nmetadata:\n  name: a\n",
    ),
    (
        "single-quoted, continued at the margin",
        "data: 'one\nmetadata:\n two'\nmetadata:\n  name: a\n",
    ),
    (
        "continued at the margin behind",
        "metadata:\n  name: a\ndata: \"one\nmetadata: two\"\n",
    ),
    (
        "quoted in metadata at the margin",
        "metadata:\n  annotations:\n    a: \"one\nlabels: two\"\n  name: a\n",
    ),
    (
        "escaped line end",
        "metadata:\n  annotations:\n    keep: \"ke\\\n      ep\"\n",
    ),
    (
        "blank behind quotes",
        "metadata:\n  labels:\n    old: \"x\"  \n    app: 'a'   # c\n",
    ),
    (
        "colon inside quotes",
        "metadata:\n  labels:\n    'a: b': \"c: d\"\n    old: ': '\n",
    ),
    (
        "keep in quotes",
        "metadata:\n  annotations: {keep: 'keep'}\n",
    ),
    (
        "keep with blanks",
        "metadata:\n  annotations: {keep: ' keep '}\n",
    ),
    // Scalars that YAML 1.1 and 1.2 read as other types.
    (
        "booleans of 1.1",
        "metadata:\n  labels:\n    a: yes\n    b: no\n    c: on\n    d: off\n    e: y\n    old: n\n",
    ),
    (
        "numbers of 1.1",
        "metadata:\n  annotations:\n    a: 0644\n    b: 1_000\n    c: 0b11\n    d: 1:30\n    keep: 0x1f\n",
    ),
    (
        "floats",
        "metadata:\n  annotations:\n    a: 1e3\n    b: .5\n    c: .inf\n    d: .nan\n    keep: 1.\n",
    ),
    (
        "dates",
        "metadata:\n  annotations:\n    a: 2024-01-01\n    b: 2024-01-01T00:00:00Z\n    keep: 2024-01-01\n",
    ),
    (
        "keys that are no text",
        "metadata:\n  annotations:\n    yes: a\n    2: b\n    ~: c\n    1.5: d\n    null: e\n",
    ),
    (
        "true as the value",
        "metadata:\n  annotations:\n    keep: true\n",
    ),
    (
        "plain over lines",
        "metadata:\n  annotations:\n    a: one\n      two\n\n      three\n    keep: de\n     lete\n",
    ),
    (
        "plain with signs",
        "metadata:\n  annotations:\n    a: -b\n    b: ?c\n    c: :d\n    d: a:b\n    e: a,b]}\n",
    ),
    (
        "plain with quotes inside",
        "metadata:\n  annotations:\n    a: it's \"so\"\n    keep: a\"b\n",
    ),
    (
        "letters of other languages",
        "metadata:\n  labels:\n    имя: значение\n    old: é\n  annotations:\n    名前: 値 # コメント\n",
    ),
    ("faces", "metadata:\n  annotations:\n    a: 😀\n    😀: b\n"),
    // Block scalars.
    (
        "block scalar with a marker",
        "metadata:\n  annotations:\n    a: |\n      ---\n      metadata:\n      ...\n  name: a\n",
    ),
    (
        "block scalar in front",
        "data:\n  a: |\n    metadata:\n      labels:\n        old: x\nmetadata:\n  name: a\n",
    ),
    (
        "block scalar is the value",
        "metadata:\n  annotations:\n    keep: |\n      delete\n    a: b\n",
    ),
    (
        "block scalar is the value, last",
        "metadata:\n  annotations:\n    keep: >-\n      delete",
    ),
    (
        "block scalar to remove",
        "metadata:\n  labels:\n    old: |\n      x\n\n      y\n\n    app: a\n",
    ),
    (
        "block scalar to remove, last",
        "metadata:\n  labels:\n    app: a\n    old: >\n      x\n      y\n\n\nspec: 1\n",
    ),
    (
        "block scalar says keep",
        "metadata:\n  annotations:\n    keep: |-\n      keep\n",
    ),
    (
        "block scalar says keep and a line end",
        "metadata:\n  annotations:\n    keep: |\n      keep\n",
    ),
    (
        "block scalar with an indicator",
        "metadata:\n  annotations:\n    a: |2-\n        b\n       c\n    keep: |1\n     x\n",
    ),
    (
        "block scalar keeps its blanks",
        "metadata:\n  annotations:\n    keep: |+\n      x\n\n\n  name: a\n",
    ),
    (
        "block scalar with a comment",
        "metadata:\n  annotations:\n    keep: | # c\n      x\n    a: >- # d\n      y\n",
    ),
    (
        "empty block scalar",
        "metadata:\n  annotations:\n    keep: |\n    a: >-\n  name: a\n",
    ),
    (
        "block scalar with a tab",
        "metadata:\n  annotations:\n    a: |\n      b\tc\n      \td\n    keep: x\n",
    ),
    (
        "folded with comments as text",
        "metadata:\n  annotations:\n    a: >\n      # no comment\n      keep: no key\n    old: x\n",
    ),
    (
        "block scalar at the margin below",
        "data: |\n a\n\nmetadata:\n  name: a\n",
    ),
    // Flow style.
    (
        "flow metadata",
        "kind: A\nmetadata: {name: a, labels: {app: a, old: b}}\n",
    ),
    (
        "flow labels",
        "metadata:\n  labels: {app: a, old: b}\n  annotations: {a: b}\n",
    ),
    (
        "flow with blanks",
        "metadata: { name: a , labels: { old : b , app : a } }\n",
    ),
    (
        "flow over lines",
        "metadata: {\n  name: a,\n  labels: {\n    app: a,\n    old: b\n  }\n}\nspec: 1\n",
    ),
    (
        "flow, closed at the margin",
        "metadata: {\nname: a,\nlabels: {old: b}\n}\nspec: 1\n",
    ),
    (
        "flow with comments",
        "metadata: { # a\n  name: a, # b\n  labels: {old: b, # c\n    app: a # d\n  } # e\n}\n",
    ),
    (
        "flow with a comma at the end",
        "metadata: {name: a, labels: {app: a, old: b,},}\n",
    ),
    ("flow, only label, comma", "metadata: {labels: {old: b,}}\n"),
    (
        "flow without values",
        "metadata: {name, labels, annotations: }\n",
    ),
    (
        "flow with an explicit key",
        "metadata: {? name : a, ? labels : {? old : b}}\n",
    ),
    (
        "flow with keys as JSON",
        "metadata: {\"name\":\"a\",\"labels\":{\"old\":\"b\"}}\n",
    ),
    (
        "whole document in flow",
        "{kind: A, metadata: {name: a, labels: {old: b}}}\n",
    ),
    (
        "empty flow over lines",
        "metadata: {\n  labels: {\n  },\n  annotations: {\n    # none\n  }\n}\n",
    ),
    ("flow pair", "metadata: {name: a}\nspec: [a: b, {c: d}]\n"),
    (
        "nested flow in block",
        "metadata:\n  labels:\n    {app: a,\n     old: b}\n",
    ),
    (
        "flow labels in a line of their own",
        "metadata:\n  labels:\n    {old: b}\n  name: a\n",
    ),
    (
        "first label old, in flow",
        "metadata: {labels: {old: b, app: a, other: c}}\n",
    ),
    (
        "label old in the middle, in flow",
        "metadata: {labels: {app: a, old: b, other: c}}\n",
    ),
    // JSON.
    (
        "json",
        "{\"kind\":\"A\",\"metadata\":{\"name\":\"a\",\"labels\":{\"old\":\"b\"}}}\n",
    ),
    (
        "json, indented",
        "{\n  \"metadata\": {\n    \"labels\": {\n      \"app\": \"a\",\n      \"old\": \"b\"\n    },\n    \"name\": \"a\"\n  }\n}\n",
    ),
    (
        "json, indented by tabs",
        "{\n\t\"metadata\": {\n\t\t\"labels\": {\n\t\t\t\"old\": \"b\"\n\t\t}\n\t}\n}\n",
    ),
    ("json without metadata", "{\"kind\":\"A\"}"),
    (
        "json with nulls",
        "{\"metadata\":{\"labels\":null,\"annotations\":null}}\n",
    ),
    (
        "json with empty maps",
        "{\"metadata\":{\"labels\":{},\"annotations\":{ }}}\n",
    ),
    (
        "json with escapes",
        "{\"metadata\":{\"annotations\":{\"a\":\"\\u2028\\n\\/\\\"\",\"k\\u0065ep\":\"x\"}}}\n",
    ),
    (
        "json with a surrogate pair",
        "{\"metadata\":{\"annotations\":{\"a\":\"\\ud83d\\ude00\"}}}\n",
    ),
    (
        "json values in a row",
        "{\"metadata\":{\"name\":\"a\"}}\n{\"metadata\":{\"name\":\"b\"}}\n",
    ),
    (
        "json and yaml",
        "{\"metadata\":{\"name\":\"a\"}}\n---\nmetadata:\n  name: b\n",
    ),
    (
        "json behind the marker",
        "--- {\"metadata\":{\"name\":\"a\"}}\n",
    ),
    (
        "json with braces in texts",
        "{\"a\":\"}{\",\"metadata\":{\"annotations\":{\"a\":\"{\\\"metadata\\\":{}}\"}}}\n",
    ),
    // Anchors, aliases, merges.
    (
        "anchored labels",
        "metadata:\n  labels: &l\n    app: a\n    old: b\nspec:\n  selector: *l\n",
    ),
    (
        "anchored labels, twice used",
        "metadata:\n  labels: &l {app: a, old: b}\nspec:\n  a: *l\n  b: *l # c\n  c: [*l, *l]\n",
    ),
    (
        "anchored metadata",
        "metadata: &m\n  name: a\nspec:\n  template: *m\n",
    ),
    (
        "anchored, never used",
        "metadata: &m\n  labels: &l\n    old: &o x\n",
    ),
    (
        "anchored label to remove",
        "metadata:\n  labels:\n    old: &o x\n    app: *o\n",
    ),
    (
        "anchored value to replace",
        "metadata:\n  annotations:\n    keep: &k delete\n    a: *k\nspec: *k\n",
    ),
    (
        "alias of labels",
        "base: &l\n  app: a\n  old: b\nmetadata:\n  labels: *l\n",
    ),
    (
        "alias of metadata",
        "base: &m {name: a, labels: {old: b}}\nmetadata: *m\n",
    ),
    (
        "alias of what is right",
        "base: &l {owner: Helm}\nmetadata:\n  labels: *l\n  annotations: {keep: keep}\n",
    ),
    (
        "alias as the value",
        "base: &k keep\nmetadata:\n  annotations:\n    keep: *k\n",
    ),
    (
        "alias as a wrong value",
        "base: &k delete\nmetadata:\n  annotations:\n    keep: *k\n    a: b\n",
    ),
    (
        "alias as a key",
        "base: &k old\nmetadata:\n  labels:\n    *k : x\n    app: a\n",
    ),
    (
        "aliases inside an alias",
        "a: &a {old: x}\nb: &b {labels: *a, annotations: *a}\nmetadata: *b\n",
    ),
    (
        "alias of a key with a bracket",
        "metadata: &m\n  ~]name: a\n  +{: 0x1,\nspec: {template: *m, other: *m}\n",
    ),
    (
        "alias, its anchor on a line",
        "metadata:\n  labels:\n    &l\n    old: x\nspec: {a: *l, b: *l}\n",
    ),
    ("alias of itself", "metadata: &m\n  name: a\n  self: *m\n"),
    (
        "anchor given twice",
        "a: &l {old: x}\nb: *l\nc: &l {app: y}\nmetadata:\n  labels: *l\n",
    ),
    (
        "anchors with a tag",
        "metadata: !!map &m\n  labels: &l !!map\n    old: x\n  name: a\nb: *l\n",
    ),
    (
        "anchor in a line of its own",
        "metadata:\n  &m\n  labels:\n    &l\n    old: x\n    app: y\nb: *l\n",
    ),
    (
        "anchor on the first key",
        "metadata:\n  labels:\n    &k app: a\n    old: x\nb: *k\n",
    ),
    (
        "anchored null",
        "metadata:\n  labels: &n\n  annotations: *n\n",
    ),
    (
        "merge",
        "base: &b {app: a}\nmetadata:\n  labels:\n    <<: *b\n    old: x\n",
    ),
    (
        "merge lends what is set",
        "base: &b {owner: me}\nmetadata:\n  labels:\n    <<: *b # c\n    old: x\n",
    ),
    (
        "merge lends what is right",
        "base: &b {owner: Helm}\nmetadata:\n  labels:\n    <<: *b\n  annotations: {keep: keep}\n",
    ),
    (
        "merge lends what goes",
        "base: &b {old: x}\nmetadata:\n  labels:\n    <<: *b\n",
    ),
    (
        "merge lends the labels",
        "base: &b {labels: {app: a, old: x}}\nmetadata:\n  <<: *b\n  name: a\n",
    ),
    (
        "merge in flow",
        "base: &b {owner: me}\nmetadata: {labels: {<<: *b, app: a}}\n",
    ),
    (
        "merge of several",
        "a: &a {owner: x}\nb: &b {app: y}\nmetadata:\n  labels:\n    <<: [*b, *a]\n",
    ),
    (
        "merge of several, in a block",
        "a: &a {owner: x}\nmetadata:\n  labels:\n    <<:\n    - *a\n    app: y\n",
    ),
    (
        "merge behind the key",
        "b: &b {owner: x}\nmetadata:\n  labels:\n    owner: y\n    <<: *b\n",
    ),
    (
        "merge in front of the key",
        "b: &b {owner: x}\nmetadata:\n  labels:\n    <<: *b\n    owner: y\n",
    ),
    (
        "merge of a map",
        "metadata:\n  labels:\n    <<: {app: a, old: b}\n    c: d\n",
    ),
    (
        "merge of merges",
        "a: &a {owner: x}\nb: &b {<<: *a}\nmetadata:\n  labels: {<<: *b}\n",
    ),
    (
        "no merge in quotes",
        "metadata:\n  labels:\n    '<<': a\n    old: b\n",
    ),
    (
        "merge of metadata",
        "b: &b\n  metadata:\n    name: a\n<<: *b\n",
    ),
    // Tags.
    (
        "tags on values",
        "metadata:\n  labels:\n    app: !!str a\n    old: !!str 1\n  annotations: {keep: !!str keep}\n",
    ),
    (
        "tag on a number",
        "metadata:\n  annotations:\n    keep: !!int 3\n    a: !!float 1\n",
    ),
    (
        "tag on the map",
        "metadata: !!map\n  labels: !!map {old: x}\n  annotations: !!map\n    a: b\n",
    ),
    (
        "tag on the first key",
        "metadata:\n  labels:\n    !!str app: a\n    !!str old: b\n",
    ),
    (
        "tag of nobody",
        "metadata:\n  annotations:\n    keep: !mine keep\n    a: !other b\n",
    ),
    (
        "not to be resolved",
        "metadata:\n  annotations:\n    keep: ! keep\n    a: ! b\n",
    ),
    // Explicit keys.
    (
        "explicit keys",
        "? metadata\n: ? labels\n  : ? app\n    : a\n    ? old\n    : b\n",
    ),
    (
        "explicit key, value below",
        "? metadata\n:\n  labels:\n    ? old\n    : b\n    app: a\n",
    ),
    (
        "explicit key without a value",
        "metadata:\n  labels:\n    ? old\n    ? app\n",
    ),
    (
        "explicit key, then one of a colon",
        "a:\n  b\n? metadata\n:: c\n",
    ),
    (
        "explicit keys, one empty",
        "? metadata\n: ? labels\n:  ?  \n       : b\n",
    ),
    (
        "explicit key, commented",
        "? # c\n  metadata\n: # d\n  labels:\n    old: x\n",
    ),
    (
        "key that is a sequence",
        "? [a, b]\n: c\nmetadata:\n  name: a\n",
    ),
    // Lists.
    (
        "list",
        "kind: List\nitems:\n- metadata:\n    name: a\n    labels: {old: x}\n- metadata: {name: b}\n",
    ),
    (
        "list, indented",
        "kind: List\nitems:\n  - kind: A\n    metadata:\n      labels:\n        old: x\n  -   metadata:\n          name: b\n",
    ),
    (
        "list, dash alone",
        "items:\n-\n  metadata:\n    name: a\n-\n  # c\n  metadata: {}\n",
    ),
    (
        "list in flow",
        "items: [{metadata: {name: a}}, {metadata: {labels: {old: x}}}]\n",
    ),
    (
        "list as json",
        "{\"kind\":\"List\",\"items\":[{\"metadata\":{\"name\":\"a\"}},{\"metadata\":{\"labels\":{\"old\":\"x\"}}}]}\n",
    ),
    (
        "list of aliases",
        "items:\n- &a\n  metadata:\n    name: a\n- *a\n",
    ),
    (
        "list, metadata first and last",
        "items:\n- metadata:\n    labels:\n      old: x\n- spec: 1\n  metadata:\n    labels: {old: x}",
    ),
    ("list, empty item", "items:\n- metadata:\n-   metadata:\n"),
    ("empty list", "kind: List\nitems: []\n"),
    // Lines, markers, directives.
    (
        "windows",
        "kind: A\r\nmetadata:\r\n  labels:\r\n    old: x\r\n    app: a\r\n  name: a\r\n",
    ),
    (
        "windows, empty",
        "metadata:\r\n  labels:\r\n  annotations: # c\r\n",
    ),
    (
        "windows, last line open",
        "metadata:\r\n  annotations:\r\n    keep: delete",
    ),
    (
        "windows, block scalar",
        "metadata:\r\n  annotations:\r\n    keep: |\r\n      x\r\n      y\r\n    a: b\r\n",
    ),
    (
        "mixed line ends",
        "kind: A\nmetadata:\r\n  labels:\n    old: x\r\n    app: a\n",
    ),
    (
        "old macintosh",
        "kind: A\rmetadata:\r  labels:\r    old: x\r    app: a\r",
    ),
    (
        "byte order mark",
        "\u{feff}kind: A\nmetadata:\n  labels:\n    old: x\n",
    ),
    (
        "byte order mark and marker",
        "\u{feff}---\nmetadata:\n  name: a\n---\nmetadata:\n  name: b\n",
    ),
    ("directive", "%YAML 1.1\n---\nmetadata:\n  name: a\n"),
    (
        "directive in the middle",
        "metadata:\n  name: a\n...\n%YAML 1.1\n---\nmetadata:\n  name: b\n",
    ),
    (
        "markers without content",
        "---\n---\nmetadata:\n  name: a\n---\n---\n",
    ),
    (
        "end markers",
        "metadata:\n  name: a\n...\n---\nmetadata:\n  name: b\n...\n...\n",
    ),
    (
        "content behind the marker",
        "--- {metadata: {name: a}}\n--- # c\nmetadata: {}\n",
    ),
    (
        "anchor behind the marker",
        "--- &root\nmetadata:\n  name: a\n",
    ),
    (
        "tag behind the marker",
        "--- !!map\nmetadata:\n  labels:\n    old: x\n",
    ),
    ("no final line end", "metadata:\n  name: a"),
    (
        "blank lines at the end",
        "metadata:\n  labels:\n    old: x\n\n\n\n",
    ),
    (
        "marker that is none",
        "metadata:\n  name: a\n----: b\n...c: d\n",
    ),
    // Tabs.
    (
        "tab behind the colon",
        "metadata:\t# c\n  labels:\t\n    old:\tx\n    app: a\n",
    ),
    ("tab in front of a comment", "metadata:\n  name: a\t# c\n"),
    ("tab as indentation", "metadata:\n\tname: a\n"),
    ("tab in an empty line", "metadata:\n\t\n  name: a\n \t \n"),
    ("tab behind the dash", "items:\n-\tmetadata: {name: a}\n"),
    (
        "tab in flow",
        "metadata: {\n\tname: a,\n\tlabels: {old: x}\n}\n",
    ),
    // Documents that must be refused.
    (
        "metadata twice",
        "metadata:\n  name: a\nspec: 1\nmetadata:\n  name: b\n",
    ),
    (
        "metadata twice, in quotes",
        "metadata:\n  name: a\n\"metadata\":\n  name: b\n",
    ),
    (
        "metadata twice, with a blank",
        "metadata:\n  name: a\nmetadata :\n  name: b\n",
    ),
    (
        "metadata twice, explicit",
        "metadata:\n  name: a\n? metadata\n: name: b\n",
    ),
    (
        "metadata twice, tagged",
        "metadata:\n  name: a\n!!str metadata:\n  name: b\n",
    ),
    (
        "labels twice",
        "metadata:\n  labels:\n    a: b\n  labels:\n    old: x\n",
    ),
    (
        "a label twice",
        "metadata:\n  labels:\n    old: x\n    old: y\n",
    ),
    (
        "a label twice, in flow",
        "metadata: {labels: {owner: x, owner: Helm}}\n",
    ),
    (
        "annotations twice, in json",
        "{\"metadata\":{\"annotations\":{},\"annotations\":{}}}\n",
    ),
    (
        "another label twice",
        "metadata:\n  labels:\n    app: x\n    app: y\n",
    ),
    ("only a text", "just text\n"),
    ("only a sequence", "- a\n- b\n"),
    ("only a block scalar", "--- |\n  metadata:\n"),
    ("cut off in a quote", "metadata:\n  name: \"a\n"),
    ("cut off in a map", "metadata: {name: a,\n"),
    ("cut off in json", "{\"metadata\":{\"name\":\"a\"\n"),
    (
        "wrong indentation",
        "metadata:\n    name: a\n  labels:\n    old: x\n",
    ),
    ("alias of nothing", "metadata:\n  labels: *none\n"),
    ("not YAML", "metadata: }{\n"),
    ("colon in a plain value", "metadata:\n  name: a: b\n"),
    // Oddities below keys that are skipped.
    (
        "quote in plain text, then a brace",
        "metadata:\n  name: a\ndata:\n  a: b\n    - \"c\n  d\": {\nargs:\n  }\nkind: X\n",
    ),
    (
        "quote in plain text, then a key",
        "kind: X\ndata:\n  a: b\n    - 'c\n  d: '\nkind: Y\ne: f'\nmetadata:\n  name: a\n",
    ),
    (
        "comment behind a dash that looks like a quote",
        "kind: X\ndata:\n- # a: \"x\n  c: 'y\n   z\"\nkind: Y\ne: f'\nmetadata:\n  name: a\n",
    ),
    (
        "comment behind a dash that looks like a block scalar",
        "x:\n- # a: |\n    b: 'x\ndata:\n  c: d'\nkind: X\nmetadata:\n  name: a\n",
    ),
    (
        "comment in an item that looks like a quote",
        "kind: X\ndata:\n- a #b: \"x\n- c: 'y\n   z\"\nkind: Y\ne: f'\nmetadata:\n  name: a\n",
    ),
    (
        "block scalars that seem to leave something open",
        "data:\n  a: |\n    b\n  c: >\n    d: [e\n  f: |\n    g\n  h: \"i\n    j\"\nmetadata:\n  labels:\n    old: x\n",
    ),
    ("control sign", "metadata:\n  name: a\u{1}b\n"),
];
