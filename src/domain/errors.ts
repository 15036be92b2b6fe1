import {type ErrorCode, type ErrorKind, errorKinds} from '../contract/error-kinds.ts'

/** One line per failure: what happened, and what to do next. Words in braces are parameters. */
const catalogue = {
  login_required: ['Log in first.', 'Run `gpuctl login`, or set GPUCTL_TOKEN.'],
  login_failed: ['The user name or the password is wrong.', 'Check both and try again.'],
  captcha_wrong: ['The digits of the picture are missing or wrong.', 'Ask for a new picture and read it again.'],
  account_disabled: ['The account {name} is disabled.', 'Ask an administrator.'],
  link_invalid: [
    'The link does not open anything any more: it holds for a minute and opens once.',
    'Type `gpuctl open` again, or sign in here.',
  ],
  token_invalid: ['The token is not valid here.', 'Log in again, or create a new token.'],
  token_expired: ['The token has expired.', 'Log in again, or create a new token.'],
  role_too_low: ['This needs the role {needed}; you are {role}.', 'Ask an administrator.'],
  scope_missing: ['The token lacks the scope {needed}.', 'Create a token with `--scope {needed}`.'],
  priority_too_high: ['Priority {asked} is above your maximum of {max}.', 'Ask for at most {max}.'],
  node_not_assigned: ['Node {name} is not one of yours.', 'Ask a super administrator to assign it to you.'],
  push_not_allowed: [
    'Only an administrator of node {node} may push: it is done with the login that the node has.',
    'Keep the snapshot on its node, without --push, or ask an administrator.',
  ],
  join_blocked: ['This machine may not join.', 'Ask an administrator to unblock it.'],
  registration_closed: ['Nobody can register here.', 'Ask an administrator for an account.'],
  invitation_needed: [
    'Registering here needs a valid invitation.',
    'Ask an administrator for one: `gpuctl user invite` makes it.',
  ],
  node_not_approved: ['Node {name} is not approved yet.', 'Approve it: `gpuctl node approve {name}`.'],
  node_suspended: ['The node is suspended: {reason}', 'Remove it and let it join anew.'],
  gpu_required: ['A GPU is required: {problem}', 'Register with gpu_available and a list of gpu_devices.'],
  input_invalid: ['{field}: {problem}', '{fix}'],
  input_unreadable: [
    'The body is not readable JSON: {problem}',
    'Send one JSON object, at most 1 MiB and 32 levels deep.',
  ],
  code_malformed: [
    '{code} is not a registration code: {problem}',
    'A code has five characters, A–Z without I, L, O and 2–9. List waiting nodes with `gpuctl node pending`.',
  ],
  password_weak: ['The password is too weak: {problem}', 'Choose another one.'],
  host_unexpected: [
    'Behind {code} is {found}, not {expected}.',
    'Check the code on the machine itself; nothing was approved.',
  ],
  quota_too_large: [
    'A quota of {asked} GB is more than the {available} GB of {name}.',
    'Ask for at most {available} GB.',
  ],
  site_elsewhere: [
    'Site {site} is not on node {node}.',
    'See the sites of the node with `gpuctl site list --node {node}`.',
  ],
  key_unusable: ['The key cannot be used: {problem}.', '{fix}'],
  claim_impossible: [
    'No node can take this claim now: {reason}',
    'Leave out --no-queue to wait, or run `gpuctl claim explain`.',
  ],
  limits_impossible: ['{name} cannot have such limits: {reason}.', 'Ask for less; see `gpuctl node get {node}`.'],
  claim_over_quota: [
    'The claim needs {asked} GPUs; your quota of {quota} leaves {left}.',
    'Cancel a claim, or ask an administrator for more quota.',
  ],
  site_over_quota: [
    'The site asks for {asked} GB; the quota of node {node} leaves {left} GB.',
    'Ask for less, or raise the quota: `gpuctl node quota set {node} GB`.',
  ],
  not_found: ['There is no {kind} {name}.', 'See what there is with `gpuctl {kind} list`.'],
  code_unknown: ['No node is waiting with code {code}.', 'List waiting nodes with `gpuctl node pending`.'],
  path_missing: ['There is no {path} in the instance.', 'Look with `gpuctl instance exec NAME -- ls`.'],
  route_unknown: ['There is nothing at {method} {path}.', 'See /swagger/index.html for what there is.'],
  method_unknown: ['{path} does not take {method}.', 'See /swagger/index.html for what it takes.'],
  host_refused: [
    'This server does not answer for the host {host}.',
    'Use the address that `gpuctl server status` prints.',
  ],
  origin_refused: [
    'Calls from the page {origin} are refused.',
    'Call from the command line, or from the server’s own pages.',
  ],
  media_type_unknown: ['The body’s type {type} is not understood.', 'Send application/json.'],
  body_too_large: ['The body is larger than {limit}.', 'Send less.'],
  name_taken: ['There is already {kind} {name}.', 'Choose another name.'],
  key_taken: ['The key is there already, as {name}.', 'List your keys with `gpuctl key list`.'],
  name_ambiguous: ['{name} could be any of {candidates}.', 'Give the full id.'],
  changed_meanwhile: ['Somebody else changed {kind} {name} meanwhile.', 'Read it again, then repeat the change.'],
  claim_moved: ['Claim {id} cannot go from {from} to {to}.', 'Read it again.'],
  claim_not_waiting: ['Claim {name} does not wait: it is {phase}.', 'Only what waits has a place in the queue.'],
  queue_front_taken: [
    'Claim {name} cannot be moved to the front: {first} has priority 100 and is older.',
    'Lower the priority of that one first.',
  ],
  claim_finished: ['Claim {name} is over ({phase}).', 'Submit a new one.'],
  instance_finished: ['Instance {name} is over ({status}).', 'Submit a new claim.'],
  snapshot_unfinished: ['Snapshot {name} is still being made.', 'Wait for it: `gpuctl task list --status running`.'],
  snapshot_in_use: [
    'Instance {name} is made of snapshot {snapshot}.',
    'Restore another snapshot first, or delete both.',
  ],
  restore_impossible: ['Instance {name} cannot be made of snapshot {snapshot}: {reason}.', '{fix}'],
  snapshot_impossible: ['Instance {name} cannot be kept: {reason}.', '{fix}'],
  limits_sold: [
    'The limits of {name} are those of its spec {spec}.',
    'Create an instance of another spec: `gpuctl spec list`.',
  ],
  instance_not_running: [
    'Instance {name} is {status}, not running.',
    'See why with `gpuctl instance get {name}`; a stopped one starts with `gpuctl instance start {name}`.',
  ],
  path_refused: ['{path}: {reason}', 'Choose another path.'],
  node_not_pending: [
    'Node {name} is {status}; it does not wait for approval.',
    'See it with `gpuctl node get {name}`.',
  ],
  node_busy: ['Work runs on node {name}: {count}.', 'Cancel it first, or give the node’s name: --confirm {name}.'],
  runtime_not_pending: ['Runtime {name} does not wait for approval.', 'See it with `gpuctl runtime get {name}`.'],
  last_admin: ['{name} is the last super administrator.', 'Make another user super_admin first.'],
  confirmation_missing: [
    'This destroys {kind} {name} with all that is in it.',
    'Give its name once more: --confirm {name}.',
  ],
  site_in_use: ['Site {name} is mounted by claim {claims}.', 'Cancel it first: `gpuctl claim cancel …`.'],
  site_restore_unconfirmed: [
    'What came into site {name} after the snapshot is lost then.',
    'Give its name once more: --confirm {name}.',
  ],
  site_no_volume: [
    'Site {name} is no volume of a pool: its node only tells of it.',
    'Make one with `gpuctl site create`.',
  ],
  site_not_ready: ['Site {name} is {status}.', 'Look again in a moment: `gpuctl site get {name}`.'],
  pool_in_use: ['Sites lie on pool {name}: {sites}.', 'Delete them first: `gpuctl site delete …`.'],
  image_not_pulled: ['Image {image} could not be pulled on {name}: {reason}', 'Check its name and the registry.'],
  os_image_missing: ['No node has a file {file}.', 'See the files with `gpuctl image list-files`.'],
  member_unknown: [
    'No node of this server has the address {address}.',
    'Give the address of a node that is a member of the cluster: `gpuctl node list -o wide`.',
  ],
  member_stays: [
    '{name} is a member of the cluster already, and stays one.',
    'Its record stays too. To take it out, switch it off and run `pvecm delnode {name}` on another member.',
  ],
  storage_missing: ['On node {name}: {reason}', 'See what there is with `gpuctl storage pool list`.'],
  storage_taken: ['On node {name}: {reason}', 'Choose another name.'],
  storage_in_use: [
    'On node {name}: {reason}',
    'End what uses it, or take another; `gpuctl storage device list --node {name}` shows what devices carry.',
  ],
  storage_needed: ['On node {name}: {reason}', 'Delete first what was made of it.'],
  storage_invalid: ['On node {name}: {reason}', 'Correct it.'],
  storage_full: ['On node {name}: {reason}', 'Free space there, or raise the quota.'],
  storage_failed: ['On node {name}: {reason}', 'Look on the node itself, then try again.'],
  backup_in_use: ['Backup {later} builds on {name}.', 'Delete that one first.'],
  backup_foreign: ['Backup {name} was not made here: its node told of it.', 'Fetch it from {path} by hand.'],
  vm_overwritten: [
    'What virtual machine {id} held is gone: its restore had begun.',
    'Restore it once more, or another backup of it.',
  ],
  backup_out_of_reach: [
    'Backup {name} lies in {path} on {node}, a node that is gone.',
    'Take the file from that machine by hand; `gpuctl backup delete {name}` forgets it here.',
  ],
  backup_homeless: [
    'The pool that backup {name} was made of is gone.',
    'Say where its site is to be made: `gpuctl backup restore {name} --node … --site …`.',
  ],
  target_in_use: ['{count} backups lie in {name}.', 'Delete them first: `gpuctl backup list`.'],
  site_without_volume: [
    'Site {name} is no volume of a pool: its node only tells of it.',
    'Back up what `gpuctl site create` made.',
  ],
  task_conflict: ['Task {task} works on {what}: {doing}.', 'Wait for it: `gpuctl task wait {task}`.'],
  task_cancelled: ['It was cancelled.', 'Submit it again when it is wanted.'],
  task_deadline: ['It took too long and was given up.', 'See what it was waiting for with `gpuctl task logs`.'],
  step_unverified: ['{step}: it was done, and is not there.', 'See the task’s log, and look on the node itself.'],
  node_not_mended: ['Not all of node {name} was mended: {reason}', 'See `gpuctl node doctor {name}`.'],
  upgrade_underway: ['To go over to {version}: {names}.', 'Follow it with `gpuctl task wait`.'],
  upgrade_stopped: [
    'The upgrade to {version} was stopped. {reason} Not upgraded: {left}.',
    'See the agent’s log on the first of them: `gpuctl agent logs`. Then upgrade the rest.',
  ],
  key_reused: ['The Idempotency-Key was used for another request.', 'Use a new key for a new request.'],
  too_many: ['Too many {what}.', 'Try again in {seconds} s.'],
  too_busy: ['The server is busy with {what}.', 'Try again in a few seconds.'],
  node_not_online: ['Node {name} is {status}.', 'Check the agent there: `gpuctl agent status`.'],
  model_unknown: ['There is no model {model}.', 'List the models with `gpuctl model list`.'],
  model_unavailable: [
    'No runtime that holds {model} can take work now.',
    'Try again in {seconds} s; see the runtimes with `gpuctl model get {model}`.',
  ],
  queue_full: ['Too many requests wait for a runtime already.', 'Try again in {seconds} s.'],
  queue_timeout: ['No runtime became free for {model} within {seconds} s.', 'Try again, or add a runtime.'],
  runtime_failed: ['The runtime did not answer as it should.', 'Try again; see the runtimes with `gpuctl model get`.'],
  runtime_silent: ['The runtime did not begin its answer within {seconds} s.', 'Try again, or ask for less.'],
  node_offline: ['Node {name} is not connected.', 'Check the agent there: `gpuctl agent status`.'],
  node_failed: ['Node {name} could not do it: {reason}', 'See `gpuctl node get {name}`.'],
  node_unreachable: ['{address} cannot be reached.', 'Check the address and that the engine listens there with TLS.'],
  runtime_refused: ['The container engine on {name} refused: {reason}', 'Mend the request, or the engine.'],
  port_closed: [
    'Port {port} of the instance cannot be reached: {reason}',
    'Check that the program in it listens there.',
  ],
  runtime_unreachable: [
    'No inference runtime answers there.',
    'It must list at least one model at http://ADDRESS:PORT+1/v1/models; start it, and register again.',
  ],
  store_full: [
    'The server’s disk is full; nothing was recorded.',
    'Free space on the server; reading and releasing still work.',
  ],
  store_unavailable: ['The store cannot be reached.', 'Try again in a few seconds.'],
  session_ended: ['The session was ended.', 'Open a new one.'],
  ssh_off: ['This server has no SSH jump host.', 'Start it with --ssh-port 2026, or use `gpuctl instance exec`.'],
  server_stopping: ['The server is stopping.', 'Try again when it is back.'],
  internal: [
    'Something went wrong in the server.',
    'Tell the operator the request id; the server’s log has the details.',
  ],
} as const satisfies Record<ErrorCode, readonly [message: string, hint: string]>

type Words<M> = M extends `${string}{${infer W}}${infer Rest}` ? W | Words<Rest> : never
export type Params<C extends ErrorCode> = Record<Words<(typeof catalogue)[C][number]>, string | number>

/** An expected failure: it has a code of the catalogue, words for people, and a hint what to do next. */
export class DomainError extends Error {
  readonly code: ErrorCode
  readonly kind: ErrorKind
  readonly hint: string
  readonly details: Record<string, unknown>

  constructor(code: ErrorCode, params: Record<string, string | number>, options?: ErrorOptions) {
    const [message, hint] = catalogue[code]
    super(fill(message, params), options)
    this.name = 'DomainError'
    this.code = code
    this.kind = errorKinds[code]
    const {kind = ''} = params
    this.hint = fill(hint, params).replace(`gpuctl ${kind} list`, `gpuctl ${lists[kind] ?? `${kind} list`}`)
    this.details = params
  }
}

/** `throw problem('claim_over_quota', {asked, quota, left})`: a missing or misspelt parameter does not compile. */
export function problem<C extends ErrorCode>(code: C, params: Params<C>, options?: ErrorOptions): DomainError {
  return new DomainError(code, params, options)
}

export function isProblem(error: unknown, code?: ErrorCode): error is DomainError {
  return error instanceof DomainError && (code === undefined || error.code === code)
}

/** Commands that list a kind of things, where they are not called `KIND list`. */
const lists: Readonly<Record<string, string>> = {
  pool: 'storage pool list',
  mount: 'storage pool mounts',
  GPU: 'gpu list',
  setting: 'server config get',
  'join token': 'node join-token list',
  'site snapshot': 'site snapshot list SITE',
  'virtual machine': 'vm backup list --node NODE',
}

function fill(text: string, params: Record<string, string | number>): string {
  return text.replace(/\{(\w+)\}/g, (_, word: string) => String(params[word] ?? ''))
}
