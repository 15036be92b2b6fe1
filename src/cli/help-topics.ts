/** Texts of `gpuctl help TOPIC`, for what belongs to no single command. */
export const helpTopics: Readonly<Record<string, string>> = {
  'exit-codes': `What the program ends with. Scripts may rely on it.

    0  done
    1  failed, for a reason that the message gives; \`status\` and \`doctor\`: something is broken
    2  wrong usage: an unknown command or flag, a bad value, a question without a terminal
    3  not found
    4  not logged in, or the token was refused
    5  conflict: the name is taken or fits several things, or the state does not allow it
    6  quota or capacity: too many GPUs asked for, or none free with --no-queue
    7  the server cannot be reached, its certificate is not trusted, or what answers is no gpuctl server
    8  your role does not allow it
    9  you answered no
   10  \`diff\` and \`--dry-run\` found that something would change
  124  --timeout was over before what was waited for
  130  Ctrl-C
  255  the connection under ssh, exec or a terminal broke

  \`exec\`, \`ssh\`, \`instance logs -f\` and \`claim submit --wait\` (once the workload has ended) end with the workload's own
  code; a workload that a signal ended has 128 and the signal's number.
`,
  environment: `Variables that the program reads. A flag beats a variable, a variable beats ./.gpuctl.yml, that beats the current context,
and all beat /etc/gpuctl/config.yml. \`gpuctl config list --origin\` shows where each value came from.

  GPUCTL_SERVER           address of the control server
  GPUCTL_CONTEXT          name of a known server; GPUCTL_SERVER beats it
  GPUCTL_TOKEN            token to call with; GPUCTL_TOKEN_FILE is a file that holds it
  GPUCTL_OUTPUT           output format, as -o; a typed -q beats it
  GPUCTL_TIMEOUT          how long to wait, as --timeout
  GPUCTL_NO_INPUT=1       never ask
  GPUCTL_YES=1            yes to what is asked with y/N
  GPUCTL_DEBUG=1          show the HTTP calls on stderr, without secrets
  GPUCTL_KEYRING          where tokens are kept: keyring, file or none
  GPUCTL_CA_CERT          PEM file of the authority to trust
  HTTPS_PROXY, HTTP_PROXY proxy on the way to an https:// or http:// server, as http://USER:PASSWORD@HOST:PORT, for calls, event
                          streams and terminals; not for this machine itself, nor for the SSH jump host
  NO_PROXY                what is reached without it: names with all below them, addresses, networks (10.0.0.0/8), or *
  GPUCTL_SSH              path of the ssh to use
  GPUCTL_PAGER            pager for long output; PAGER where it is not set
  GPUCTL_NO_UPDATE_NOTIFIER=1
                          no notice of a server of another version (once a day, on a terminal)
  GPUCTL_CONFIG_DIR, GPUCTL_DATA_DIR, GPUCTL_CACHE_DIR
                          folders; else those of XDG
  NO_COLOR, CLICOLOR, CLICOLOR_FORCE, FORCE_COLOR, TERM=dumb
                          colour
  COLUMNS, TZ, LANG       width, zone and language of what is shown
  CI                      never ask

Of a server: GPUCTL_LISTEN, GPUCTL_DATABASE_URL, GPUCTL_JWT_SECRET_FILE, GPUCTL_ADMIN_PASSWORD_FILE.
Every other flag has its variable too: --request-timeout is GPUCTL_REQUEST_TIMEOUT; several values stand on lines of their own.
`,
  output: `Data goes to stdout, everything else to stderr.

  -o table   for people; what a terminal gets
  -o wide    with more columns
  -o tsv     tab-separated, nothing cut, no headers, no colour: what a pipe gets
  -o json    a list is an array, one thing an object; --json is the same
  -o ndjson  one JSON document to a line; streams come so in any JSON format
  -o yaml, csv, md, name
  -q         ids only

  --json=name,status   these fields only
  --columns name,free  these columns only           --sort -free,name  downwards by free, then by name
  --where EXPR         rows that are so             -l zone=a,!old     by their labels
  --limit 5, --no-header, --no-trunc, --no-pager, --color=always
  --jq EXPR            runs the JSON through jq; -o jq=EXPR is the same
  -w                   goes on: drawn anew on a terminal; in a pipe what is new or has changed

EXPR of --where: NAME=VALUE, !=, ~ (pattern), !~, <, <=, >, >=, NAME or !NAME, joined by &&; NAME is a column or a field of
the JSON (status.phase). Amounts are 24GB or 24GiB; a time compares with a span: age>2h.

--curl and --explain show a call instead of making it. -n (--dry-run) lets the server check a change and say what it would do,
without doing it: exit 10, or 0 where nothing would change.

A failure in a JSON format is one object on stdout:
  {"error": {"code": "…", "message": "…", "hint": "…", "details": {…}, "requestId": "…"}}
Fields are added, never taken away or renamed. Times are RFC 3339 where a machine reads.
Control characters of others never reach your terminal; \`instance logs --raw\` is the exception that you ask for.
`,
  quickstart: `From nothing to a shell in a container:

  gpuctl up --detach                 a control server and an agent on this machine; prints the join code
                                     (no GPU here? add --fake-gpus 2xRTX4090)
  gpuctl node approve CODE --wait    admits the machine
  gpuctl claim submit --image nvidia/cuda:12.0-runtime-ubuntu22.04 --gpus 1 --name demo --wait -- sleep infinity
  gpuctl ssh demo                    a shell in it
  gpuctl claim cancel demo           gives the GPU back
  gpuctl down                        ends both; data is kept

Another machine:  gpuctl agent start --server http://THIS-MACHINE:8888
Another person:   gpuctl user create ada && gpuctl quota set ada --gpus 2
In CI:            gpuctl token create ci, then GPUCTL_SERVER and GPUCTL_TOKEN
`,
}
