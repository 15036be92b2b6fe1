/**
 * The fleet on one page, to be looked at; what changes something is typed: `gpuctl`. It speaks the native API with the login
 * in a header, never in an address, and writes what the server says as text, never as HTML.
 */
import {ask, isSignedIn, Refused, read, showForm, signIn, signOut, takeLink} from './login.js'

const refreshEveryMs = 10_000
/** After an event: more of them come together. */
const gatherMs = 400
const reconnectMs = 3_000
/** Of each table; the command line shows all. */
const mostRows = 300

const byId = id => document.getElementById(id)
let session = new AbortController()

/** An element with its text or its children. */
function make(name, content, properties = {}) {
  const element = Object.assign(document.createElement(name), properties)
  element.append(...[content ?? ''].flat())
  return element
}

const colours = {
  good: ['online', 'running', 'free', 'ok', 'completed'],
  bad: ['offline', 'failed', 'blocked', 'unavailable', 'lost'],
  wait: ['pending', 'stale', 'joining', 'creating', 'scheduled', 'disabled', 'cordoned', 'draining', 'stopping'],
}

function state(word) {
  const className = Object.keys(colours).find(name => colours[name].includes(word.toLowerCase())) ?? ''
  return make('span', word, {className})
}

function share(used, total, label) {
  if (used === null || !total) return '–'
  const meter = make('meter', '', {min: 0, max: total, value: used, title: label})
  return make('span', [meter, ` ${label}`])
}

const gib = mib => `${(mib / 1024).toFixed(mib < 10 * 1024 ? 1 : 0)} GiB`

function age(time) {
  if (!time) return '–'
  const seconds = Math.max(0, (Date.now() - Date.parse(time)) / 1000)
  const [unit, size] = [
    ['d', 86_400],
    ['h', 3_600],
    ['m', 60],
    ['s', 1],
  ].find(([, size]) => seconds >= size) ?? ['s', 1]
  return `${Math.floor(seconds / size)}${unit}`
}

/** Columns: heading → what a row has there, text or an element. */
function show(id, rows, columns, whenEmpty) {
  const table = byId(id)
  const cells = Object.values(columns)
  const head = make(
    'tr',
    Object.keys(columns).map(name => make('th', name, {scope: 'col'})),
  )
  const body = rows.slice(0, mostRows).map(row =>
    make(
      'tr',
      cells.map(cell => make('td', cell(row))),
    ),
  )
  const empty = make('tr', make('td', whenEmpty, {colSpan: cells.length, className: 'none'}))
  const left = rows.length - body.length
  table.replaceChildren(
    ...(left > 0 ? [make('caption', `and ${left} more`)] : []),
    make('thead', head),
    make('tbody', body.length > 0 ? body : empty),
  )
}

function showStatus({nodes, gpus, claims, problems, version}) {
  const figures = {
    nodes: `${nodes.online} online${nodes.stale + nodes.offline > 0 ? `, ${nodes.stale + nodes.offline} away` : ''}`,
    GPUs: `${gpus.used} of ${gpus.total} used`,
    waiting: claims.pending,
    running: claims.running,
    version,
  }
  byId('figures').replaceChildren(
    ...Object.entries(figures).map(([name, value]) => make('div', [make('dt', name), make('dd', String(value))])),
  )
  byId('problems').replaceChildren(...problems.map(problem => make('li', problem)))
}

function showNodes(nodes) {
  const waiting = nodes.filter(({status}) => status === 'pending')
  byId('joining').closest('section').hidden = waiting.length === 0
  show('joining', waiting, {
    Name: ({name}) => name,
    Address: ({address}) => address,
    GPUs: ({gpuSummary}) => gpuSummary || '–',
    'To let it in': ({code}) => make('code', code ? `gpuctl node approve ${code}` : 'an administrator approves it'),
  })
  show(
    'nodes',
    nodes.filter(({status}) => status !== 'pending'),
    {
      Name: ({name}) => name,
      State: ({status, schedulable, drain}) => [
        state(status),
        ...(schedulable || status !== 'online' ? [] : [', ', state(drain ? 'draining' : 'cordoned')]),
      ],
      GPUs: ({gpus, gpusFree}) => `${gpusFree} of ${gpus.length} free`,
      Containers: ({runtime, runtimeState, runtimeReason}) =>
        make('span', runtimeState === 'ok' ? runtime : `${runtime}: ${runtimeState}`, {title: runtimeReason}),
      Memory: ({memoryMiB}) => gib(memoryMiB),
      CPUs: ({cpus}) => String(cpus),
      Agent: ({agentVersion}) => agentVersion || '–',
      Seen: ({lastSeenAt}) => age(lastSeenAt),
    },
    'No node yet. On a GPU machine: gpuctl agent start --server URL',
  )
}

function showWork({claims, gpus, instances}) {
  show(
    'queue',
    claims.filter(({status}) => status.phase === 'Pending'),
    {
      Place: ({status}) => (status.position ? String(status.position) : '–'),
      Name: ({name}) => name,
      Owner: ({owner}) => owner,
      GPUs: ({spec}) => `${spec.gpus?.count ?? 0}${spec.gpus?.model ? ` × ${spec.gpus.model}` : ''}`,
      Waits: ({createdAt}) => age(createdAt),
      Why: ({status}) => status.reason || '–',
    },
    'Nothing waits.',
  )
  show(
    'gpus',
    gpus,
    {
      GPU: ({node, index}) => `${node}:${index}`,
      Model: ({model, simulated}) => (simulated ? `${model} (simulated)` : model),
      State: ({state: word, disabled}) => make('span', state(word), {title: disabled?.reason ?? ''}),
      Load: ({utilizationPercent: load}) => share(load, 100, `${Math.round(load)} %`),
      Memory: ({memoryUsedMiB: used, memoryMiB}) =>
        share(used, memoryMiB, `${gib(used ?? 0)} of ${gib(memoryMiB ?? 0)}`),
      Temperature: ({temperatureC}) => (temperatureC === null ? '–' : `${Math.round(temperatureC)} °C`),
      Holder: ({instance, owner}) => (instance ? `${instance} (${owner})` : '–'),
    },
    'No GPU yet.',
  )
  show(
    'instances',
    instances,
    {
      Name: ({name}) => name,
      State: ({status, reason}) => make('span', state(status), {title: reason}),
      Owner: ({owner}) => owner,
      Node: ({node}) => node,
      GPUs: ({gpus: held}) => (held.length > 0 ? held.map(({index}) => index).join(', ') : '–'),
      Image: ({image}) => image,
      Since: ({startedAt}) => age(startedAt),
    },
    'Nothing runs. gpuctl claim submit --image IMAGE --gpus 1',
  )
}

async function refresh(all) {
  const [status, nodes, claims, gpus, instances] = await Promise.all([
    read('/status'),
    read('/nodes'),
    read(`/claims?live=true${all}`),
    read('/gpus'),
    read(`/instances?${all}`),
  ])
  showStatus(status)
  showNodes(nodes)
  showWork({claims, gpus, instances})
}

/** Calls back at each event until the connection ends. EventSource sets no headers, so the stream is read by hand. */
async function follow(signal, onEvent) {
  const {body} = await ask('/events/stream', {signal})
  byId('connection').textContent = 'live'
  const reader = body.pipeThrough(new TextDecoderStream()).getReader()
  for (;;) {
    const {done, value} = await reader.read()
    if (done) return
    if (value.includes('data:')) onEvent()
  }
}

const pause = (ms, signal) =>
  new Promise(resolve => {
    const timer = setTimeout(resolve, ms)
    signal.addEventListener('abort', () => {
      clearTimeout(timer)
      resolve()
    })
  })

async function watch({signal}, all) {
  let timer
  const look = () => {
    timer = undefined
    if (!document.hidden) refresh(all).catch(failed)
  }
  const soon = () => {
    timer ??= setTimeout(look, gatherMs)
  }
  const regular = setInterval(soon, refreshEveryMs)
  document.addEventListener('visibilitychange', soon, {signal})
  signal.addEventListener('abort', () => {
    clearInterval(regular)
    clearTimeout(timer)
  })
  while (!signal.aborted) {
    await follow(signal, soon).catch(error => {
      if (error instanceof Refused) failed(error)
    })
    if (signal.aborted) return
    byId('connection').textContent = 'the server is away; trying again'
    await pause(reconnectMs, signal)
  }
}

function failed(error) {
  if (error.status === 401) showLogin('Your login has ended. Sign in again.')
  else byId('connection').textContent = error.message
}

function showLogin(why = '') {
  session.abort()
  showForm(why)
}

async function start() {
  if (!isSignedIn()) return showLogin()
  session = new AbortController()
  try {
    const {username, role} = await read('/auth/whoami')
    const all = ['super_admin', 'node_admin'].includes(role) ? '&all=true' : ''
    byId('who').textContent = `${username} (${role})`
    await refresh(all)
    byId('signed-out').hidden = true
    byId('signed-in').hidden = false
    watch(session, all)
  } catch (error) {
    showLogin(error.status === 401 ? '' : error.message)
  }
}

byId('login').addEventListener('submit', async event => {
  event.preventDefault()
  const form = event.target
  byId('refusal').textContent = ''
  try {
    const {username, password} = Object.fromEntries(new FormData(form))
    await signIn(username, password)
    form.reset()
    await start()
  } catch (error) {
    byId('refusal').textContent = error.message
  }
})

byId('logout').addEventListener('click', async () => {
  await signOut()
  showLogin()
})

takeLink().then(start, error => showLogin(error.message))
