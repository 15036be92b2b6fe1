/** A conversation with a model of the fleet, through `/v1` with its reader's own login or key. Kept nowhere but in this tab. */
import {call, isSignedIn, keep, showForm, signIn, signOut, takeLink} from './login.js'

const byId = id => document.getElementById(id)
let messages = []
let answering = new AbortController()

function showLogin(why = '') {
  answering.abort()
  showForm(why)
}

async function start() {
  if (!isSignedIn()) return showLogin()
  try {
    const {data} = await (await call('/v1/models')).json()
    byId('model').replaceChildren(
      ...data.map(({id}) => Object.assign(document.createElement('option'), {value: id, textContent: id})),
    )
    byId('send').disabled = data.length === 0
    say(data.length === 0 ? 'No model is loaded on any runtime.' : '')
    byId('signed-out').hidden = true
    byId('signed-in').hidden = false
    byId('prompt').focus()
  } catch (error) {
    showLogin(error.message)
  }
}

function say(words) {
  byId('state').textContent = words
}

/** A message on the page; its text is text, whatever it holds. */
function show(role, text) {
  const item = Object.assign(document.createElement('li'), {className: role, textContent: text})
  byId('messages').append(item)
  item.scrollIntoView({block: 'end'})
  return item
}

/** What stands behind each `data:` of an event stream. */
async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader()
  let left = ''
  for (;;) {
    const {done, value} = await reader.read()
    if (done) return
    const lines = (left + value).split(/\r?\n/)
    left = lines.pop()
    for (const line of lines) if (line.startsWith('data:')) yield line.slice(5).trim()
  }
}

/** Writes the answer into the element as it comes; returns it. Throws when it ends before its end. */
async function answer(model, asked, signal, element) {
  const body = JSON.stringify({model, messages: asked, stream: true})
  const reply = await call('/v1/chat/completions', {method: 'POST', body, signal})
  for await (const data of events(reply.body)) {
    if (data === '[DONE]') return
    const {choices, error} = JSON.parse(data)
    if (error) throw new Error(error.message ?? 'The model failed.')
    element.append(choices?.[0]?.delta?.content ?? '')
  }
  throw new Error('The answer was cut.')
}

async function send() {
  const text = byId('prompt').value.trim()
  const model = byId('model').value
  if (text === '' || model === '' || byId('send').disabled) return
  byId('prompt').value = ''
  const question = show('user', text)
  const element = show('assistant', '')
  const instructions = byId('instructions').value.trim()
  const asked = [...messages, {role: 'user', content: text}]
  const ownAbort = new AbortController()
  answering = ownAbort
  setBusy(true)
  const startedAt = performance.now()
  try {
    const all = instructions === '' ? asked : [{role: 'system', content: instructions}, ...asked]
    await answer(model, all, ownAbort.signal, element)
    say(`${((performance.now() - startedAt) / 1000).toFixed(1)} s`)
  } catch (error) {
    if (error.status === 401) return showLogin('Your login has ended. Sign in again.')
    say(ownAbort.signal.aborted ? 'Stopped.' : error.message)
  } finally {
    setBusy(false)
  }
  // A conversation that was begun anew meanwhile knows nothing of this one.
  if (!element.isConnected) return
  if (element.textContent !== '') {
    messages = [...asked, {role: 'assistant', content: element.textContent}]
    return
  }
  question.remove()
  element.remove()
  byId('prompt').value ||= text
}

function setBusy(isBusy) {
  byId('send').disabled = isBusy
  byId('stop').hidden = !isBusy
  if (isBusy) say('…')
}

byId('chat').addEventListener('submit', event => {
  event.preventDefault()
  send()
})

byId('prompt').addEventListener('keydown', event => {
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return
  event.preventDefault()
  send()
})

byId('stop').addEventListener('click', () => answering.abort())

byId('fresh').addEventListener('click', () => {
  answering.abort()
  messages = []
  byId('messages').replaceChildren()
  say('')
})

byId('login').addEventListener('submit', async event => {
  event.preventDefault()
  const form = event.target
  byId('refusal').textContent = ''
  try {
    const {username, password, key} = Object.fromEntries(new FormData(form))
    if (key) keep(key.trim())
    else await signIn(username, password)
    form.reset()
    await start()
  } catch (error) {
    byId('refusal').textContent = error.message
  }
})

byId('logout').addEventListener('click', async () => {
  await signOut()
  messages = []
  byId('messages').replaceChildren()
  showLogin()
})

takeLink().then(start, error => showLogin(error.message))
