/**
 * Who is signed in in this tab, and calls as that person: with the login in a header, never in an address, and kept for as
 * long as the tab is open.
 */
const api = '/gpuctl/v1'
const loginKey = 'gpuctl.login'
let login = sessionStorage.getItem(loginKey)

export class Refused extends Error {
  constructor(status, message) {
    super(message)
    this.status = status
  }
}

export const isSignedIn = () => login !== null

/** A path of the server; the answer is a success, its body unread. Throws Refused. */
export async function call(path, options = {}) {
  const reply = await fetch(path, {
    ...options,
    headers: {...(login ? {authorization: `Bearer ${login}`} : {}), 'content-type': 'application/json'},
    signal: options.signal ?? AbortSignal.timeout(15_000),
  })
  if (reply.ok) return reply
  const {error} = await reply.json().catch(() => ({}))
  throw new Refused(reply.status, error?.message ?? `The server answered with HTTP ${reply.status}.`)
}

/** A path of the native API. */
export const ask = (path, options) => call(api + path, options)
export const read = async path => (await ask(path)).json()

async function post(path, body) {
  return (await ask(path, {method: 'POST', body: JSON.stringify(body)})).json()
}

/** A login, or an API key. */
export function keep(secret) {
  login = secret
  sessionStorage.setItem(loginKey, secret)
}

function forget() {
  login = null
  sessionStorage.removeItem(loginKey)
}

/** The form of the login in place of the page, with the reason. */
export function showForm(why) {
  forget()
  document.getElementById('signed-in').hidden = true
  document.getElementById('signed-out').hidden = false
  document.getElementById('refusal').textContent = why
}

export async function signIn(username, password) {
  keep((await post('/auth/login', {username, password})).token)
}

/** The link of `gpuctl open`. It stands behind the #, which no server sees, and leaves the address before it is used. */
export async function takeLink() {
  const secret = new URLSearchParams(location.hash.slice(1)).get('link')
  if (!secret) return
  history.replaceState(null, '', location.pathname)
  forget()
  keep((await post('/auth/browser-link/redeem', {secret})).token)
}

/** Ends the login on the server, too; an API key is only forgotten here. */
export async function signOut() {
  if (!/^(gpt|sk)_/.test(login ?? '')) await post('/auth/logout', {}).catch(() => {})
  forget()
}
